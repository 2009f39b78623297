// npm's ws on a plain socket: node ws.mjs ws://host:port/ws/rooms/1 LAST [AFTER EPOCH]
//
// Reads the room's lines up to the one with the seq LAST and prints each frame as it came. Every few frames it breaks
// the connection, without a close, and comes back with what it saw last.
import WebSocket from 'ws';

const [url, last, after, epoch] = process.argv.slice(2);
let at = {seq: Number(after ?? 0), epoch: epoch ?? ''};
setTimeout(() => { console.error(`nothing more came after seq ${at.seq}`); process.exit(1); }, 60_000).unref();

function listen() {
	const ws = new WebSocket(`${url}?after=${at.seq}` + (at.epoch && `&epoch=${at.epoch}`));
	let left = 1 + Math.floor(Math.random() * 12);
	ws.on('message', (data) => {
		if (left <= 0) return;
		const line = data.toString();
		const frame = JSON.parse(line);
		console.log(line);
		if (frame.type === 'recovered') {
			ws.terminate();
			process.exit(0);
		}
		if (!frame.seq) return;
		at = {seq: frame.seq, epoch: frame.epoch};
		if (at.seq >= Number(last)) process.exit(0);
		if (--left === 0) ws.terminate();
	});
	ws.on('error', (e) => { console.error(e.message); });
	ws.on('close', () => setTimeout(listen, 5));
}
listen();
