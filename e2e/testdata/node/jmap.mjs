// npm's jmap-jam works a mailbox through: node jmap.mjs http://host:port TOKEN TO
//
// Signs in, lists, writes a draft with a file, sends it, moves, flags, searches, reads its thread, hears of a change, follows the changes
// and destroys. Prints a line for each step; an error ends it.
import JamClient from 'jmap-jam';

const [base, bearerToken, to] = process.argv.slice(2);
const jam = new JamClient({sessionUrl: base + '/.well-known/jmap', bearerToken});
const accountId = await jam.getPrimaryAccount();
const must = (ok, what) => { if (!ok) { throw new Error(what); } console.log(what); };
setTimeout(() => { console.error('took too long'); process.exit(1); }, 60_000).unref();

const [boxes] = await jam.api.Mailbox.get({accountId});
const box = Object.fromEntries(boxes.list.filter((b) => b.role).map((b) => [b.role, b.id]));
must(box.inbox && box.drafts && box.sent && box.trash, 'mailboxes are listed');
const [{state}] = await jam.api.Email.get({accountId, ids: []});

const stream = await fetch((await jam.session).eventSourceUrl.replace('{types}', '*').replace('{closeafter}', 'state').replace('{ping}', '0'),
	{headers: {authorization: 'Bearer ' + bearerToken}});
const told = stream.text();

const file = await jam.uploadBlob(accountId, new Blob(['a small file'], {type: 'text/plain'}));
const [{list: [me]}] = await jam.api.Identity.get({accountId});
const [made] = await jam.requestMany((t) => ({
	draft: t.Email.set({accountId, create: {d: {mailboxIds: {[box.drafts]: true}, keywords: {$draft: true, $seen: true}, from: [{email: me.email}], to: [{email: to}],
		subject: 'From jam', textBody: [{partId: 't', type: 'text/plain'}], bodyValues: {t: {value: 'A needle in the hay'}},
		attachments: [{blobId: file.blobId, type: 'text/plain', name: 'small.txt', disposition: 'attachment'}]}}}),
}));
const id = made.draft.created.d.id;
must(id, 'a draft with a file is made');
must((await told).includes('StateChange'), 'the change is told');

const [sent] = await jam.requestMany((t) => ({
	send: t.EmailSubmission.set({accountId, create: {s: {identityId: me.id, emailId: id}},
		onSuccessUpdateEmail: {'#s': {[`mailboxIds/${box.drafts}`]: null, [`mailboxIds/${box.sent}`]: true, 'keywords/$draft': null}}}),
}));
// Both answers have the call's id, and jam keeps the later: that of the Email/set which followed.
must(id in sent.send.updated, 'it is sent');
const [{list: [after]}] = await jam.api.Email.get({accountId, ids: [id], properties: ['mailboxIds', 'keywords', 'threadId', 'attachments']});
must(after.mailboxIds[box.sent] && !after.mailboxIds[box.drafts] && !after.keywords.$draft, 'it lies among what was sent');
const part = await jam.downloadBlob({accountId, blobId: after.attachments[0].blobId, mimeType: 'text/plain', fileName: 'small.txt'});
must(await part.text() === 'a small file', 'its file comes back');

await jam.api.Email.set({accountId, update: {[id]: {'keywords/$flagged': true, mailboxIds: {[box.archive]: true}}}});
const [found] = await jam.requestMany((t) => {
	const q = t.Email.query({accountId, filter: {inMailbox: box.archive, hasKeyword: '$flagged', text: 'needle'}});
	return {q, get: t.Email.get({accountId, ids: q.$ref('/ids'), properties: ['id', 'subject']}), snip: t.SearchSnippet.get({accountId, filter: {text: 'needle'}, emailIds: [id]})};
});
must(found.get.list[0].id === id && found.snip.list[0].preview.includes('<mark>needle</mark>'), 'it is moved, flagged and found');
const [{list: [thread]}] = await jam.api.Thread.get({accountId, ids: [after.threadId]});
must(thread.emailIds.includes(id), 'its thread is read');
const [changes] = await jam.api.Email.changes({accountId, sinceState: state});
must(changes.created.includes(id), 'the changes name it');
const [gone] = await jam.api.Email.set({accountId, destroy: [id]});
must(gone.destroyed[0] === id, 'it is destroyed');
process.exit(0);
