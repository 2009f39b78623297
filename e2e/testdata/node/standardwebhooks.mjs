// npm's standardwebhooks checks what our webhooks send: node standardwebhooks.mjs SECRET, with {"headers": …, "body": "…"}
// a line on stdin. Each must hold, and none may hold once it was changed.
import {createInterface} from 'node:readline';
import {Webhook} from 'standardwebhooks';

const hook = new Webhook(process.argv[2]);
let n = 0;
for await (const line of createInterface({input: process.stdin})) {
	const {headers, body} = JSON.parse(line);
	hook.verify(body, headers);
	for (const [b, h] of [[body + ' ', headers], [body, {...headers, 'webhook-id': 'msg_other'}], [body, {...headers, 'webhook-timestamp': String(headers['webhook-timestamp'] - 1)}]]) {
		try {
			hook.verify(b, h);
		} catch {
			continue;
		}
		throw new Error(`a changed delivery holds: ${JSON.stringify(h)} ${b}`);
	}
	n++;
}
console.log(n);
