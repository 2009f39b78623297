"""Debian's python3-websockets on a plain socket: websockets_plain.py ws://host:port/ws/rooms/1 LAST [AFTER EPOCH]

Reads the room's lines up to the one with the seq LAST and prints each frame as it came. Every few frames it breaks
the connection, without a close, and comes back with what it saw last."""
import asyncio
import json
import random
import sys

import websockets

url, last = sys.argv[1], int(sys.argv[2])
after, epoch = (int(sys.argv[3]), sys.argv[4]) if len(sys.argv) > 3 else (0, "")


async def listen():
    global after, epoch
    while True:
        query = f"?after={after}" + (f"&epoch={epoch}" if epoch else "")
        ws = await websockets.connect(url + query)
        try:
            for _ in range(random.randint(1, 12)):
                line = await ws.recv()
                frame = json.loads(line)
                print(line)
                if frame["type"] == "recovered":
                    return
                if "seq" in frame:
                    after, epoch = frame["seq"], frame["epoch"]
                if after >= last:
                    return
        finally:
            ws.transport.abort()


asyncio.run(asyncio.wait_for(listen(), 60))
