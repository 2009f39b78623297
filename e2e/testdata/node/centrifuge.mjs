// The official Centrifugo client, unchanged, against /connection/websocket.
//
//	node centrifuge.mjs talk http://host:port ROOM TOKEN     prints the position it came to, as JSON
//	node centrifuge.mjs replaced http://host:port ROOM TOKEN OFFSET EPOCH
//
// The first takes part in a room, is away while others write, comes back and says what it saw; the second comes with a
// position that another database gave. Whatever is not as it should be ends it with an error.
import assert from 'node:assert/strict';
import {Centrifuge} from 'centrifuge';
import WebSocket from 'ws';

const [mode, base, room, token, offset, epoch] = process.argv.slice(2);
const client = new Centrifuge(base.replace(/^http/, 'ws') + '/connection/websocket', {
	websocket: WebSocket, token, name: 'e2e', minReconnectDelay: 20, maxReconnectDelay: 100,
});
client.on('error', (e) => console.error('client error', JSON.stringify(e)));
const deadline = setTimeout(() => { console.error('nothing more came within 60 s'); process.exit(1); }, 60_000);

// post says a line over HTTP, as somebody else would.
async function post(text) {
	const res = await fetch(`${base}/rooms/${room}/messages`, {
		method: 'POST', headers: {'Content-Type': 'application/json', Authorization: `Bearer ${token}`}, body: JSON.stringify({text}),
	});
	assert.equal(res.status, 200, await res.clone().text());
}

// watch collects what a subscription is told, and waits for it.
function watch(sub) {
	const seen = {pubs: [], subscribed: [], joins: []};
	sub.on('publication', (p) => { if (p.offset) seen.pubs.push(p); });
	sub.on('subscribed', (s) => seen.subscribed.push(s));
	sub.on('join', (j) => seen.joins.push(j));
	sub.on('error', (e) => console.error('subscription error', JSON.stringify(e)));
	seen.until = async (what, ok) => {
		for (let i = 0; !ok(); i++) {
			assert.ok(i < 2000, `waited for ${what} and got ${JSON.stringify(seen).slice(0, 2000)}`);
			await new Promise((r) => setTimeout(r, 10));
		}
	};
	return seen;
}

async function talk() {
	const sub = client.newSubscription(`room:${room}`, {recoverable: true, positioned: true, joinLeave: true});
	const seen = watch(sub);
	sub.subscribe();
	client.connect();
	await seen.until('the subscription', () => seen.subscribed.length === 1);
	assert.equal(seen.subscribed[0].recoverable, true);
	for (let i = 1; i <= 5; i++) await post(`line ${i}`);
	await seen.until('five lines', () => seen.pubs.length === 5);

	client.disconnect();
	for (let i = 6; i <= 25; i++) await post(`line ${i}`);
	client.connect();
	await seen.until('the second subscription', () => seen.subscribed.length === 2);
	assert.equal(seen.subscribed[1].wasRecovering, true);
	assert.equal(seen.subscribed[1].recovered, true);
	await seen.until('what was missed', () => seen.pubs.length >= 25);
	assert.deepEqual(seen.pubs.map((p) => p.offset), Array.from({length: 25}, (_, i) => i + 1));
	assert.deepEqual(seen.pubs.map((p) => p.data.text), Array.from({length: 25}, (_, i) => `line ${i + 1}`));

	// More than any reply could carry is missed by nobody either.
	client.disconnect();
	const posts = [];
	for (let i = 26; i <= 325; i++) posts.push(post(`line ${i}`));
	await Promise.all(posts);
	client.connect();
	await seen.until('three hundred lines', () => seen.pubs.length >= 325);
	assert.deepEqual(seen.pubs.map((p) => p.offset), Array.from({length: 325}, (_, i) => i + 1));
	assert.equal(seen.subscribed[2].recovered, true);

	// The connection breaks under the client, which comes back by itself.
	client._transport.close();
	await post('while the link is down');
	await seen.until('the line of the broken link', () => seen.pubs.length === 326);
	assert.equal(seen.pubs[325].offset, 326);

	await sub.publish({text: 'from the client', nonce: 'n1'});
	await sub.publish({text: 'from the client', nonce: 'n1'});
	await seen.until('its own line', () => seen.pubs.length >= 327);
	assert.equal(seen.pubs[326].data.text, 'from the client');
	await assert.rejects(sub.publish('kill yourself'), (e) => e.code === 107 && e.message === 'Toxic content');
	const {data} = await client.rpc('send', {room_id: Number(room), text: 'by rpc'});
	assert.equal(data.seq, 328, 'a repeated nonce made another line');
	await seen.until('the line by rpc', () => seen.pubs.length === 328);

	const {clients} = await sub.presence();
	assert.equal(Object.values(clients)[0].connInfo.handle, '@demo');
	assert.equal((await sub.presenceStats()).numUsers, 1);

	const all = [];
	for (let since = {offset: 0, epoch: seen.subscribed[0].streamPosition.epoch}; ;) {
		const page = await sub.history({limit: 100, since});
		if (page.publications.length === 0) break;
		all.push(...page.publications.map((p) => p.offset));
		since = {offset: all.at(-1), epoch: page.epoch};
	}
	assert.deepEqual(all, seen.pubs.map((p) => p.offset));
	const last = await sub.history({limit: 2, reverse: true});
	assert.deepEqual(last.publications.map((p) => p.offset), [328, 327]);
	console.log(JSON.stringify({offset: seen.pubs.at(-1).offset, epoch: last.epoch}));
}

async function replaced() {
	const sub = client.newSubscription(`room:${room}`, {since: {offset: Number(offset), epoch}});
	const seen = watch(sub);
	sub.subscribe();
	client.connect();
	await seen.until('the subscription', () => seen.subscribed.length === 1);
	const s = seen.subscribed[0];
	assert.equal(s.wasRecovering, true);
	assert.equal(s.recovered, false, 'a position of another database was recovered');
	assert.notEqual(s.streamPosition.epoch, epoch);
	await post('new here');
	await seen.until('what is new', () => seen.pubs.length >= 1);
	assert.equal(seen.pubs[0].data.text, 'new here', 'an old line was replayed');
}

await {talk, replaced}[mode]();
client.disconnect();
clearTimeout(deadline);
