"""Sign the message on stdin with DKIM: sign.py KEYFILE DOMAIN SELECTOR [FIELD...]."""
import sys

import dkim

keyfile, domain, selector, *fields = sys.argv[1:]
message = sys.stdin.buffer.read()
with open(keyfile, "rb") as f:
    key = f.read()
signature = dkim.sign(
    message,
    selector.encode(),
    domain.encode(),
    key,
    canonicalize=(b"relaxed", b"relaxed"),
    include_headers=[f.encode() for f in fields or ("From", "To", "Subject", "Date", "Message-ID")],
)
sys.stdout.buffer.write(signature + message)
