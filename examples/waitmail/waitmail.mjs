// Waits for a mail to an address whose subject matches, prints its first link and code, and removes it. See README.md.
// Node 18 or newer; no packages.

/** Returns the newest mail to an address whose subject matches a pattern, and removes it; waits for one. */
export async function wait(inbox, to, subject, seconds) {
  const signal = AbortSignal.timeout(seconds * 1000);
  const headers = { Authorization: 'Basic ' + btoa(`${inbox.user}:${inbox.password}`) };
  const call = async (method, path, query = {}) => {
    const res = await fetch(`${inbox.url}${path}?${new URLSearchParams(query)}`, { method, headers, signal });
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status}`);
    return res;
  };
  const take = async (id) => {
    const mail = await (await call('GET', `/api/messages/${id}`)).json();
    await call('DELETE', `/api/messages/${id}`, { forever: 'true' });
    const links = /https?:\/\/[^\s<>"]+/g;
    const link = mail.text.match(links)?.[0] ?? '';
    return { id, subject: mail.subject, link, code: mail.text.replace(links, '').match(/\b[0-9]{4,8}\b/)?.[0] ?? '' };
  };
  const pattern = new RegExp(subject);
  const meant = (mail) => (mail.to.includes(to) || mail.recipient === to) && pattern.test(mail.subject);

  let events;
  try {
    events = await call('GET', '/api/events', { user: inbox.user }); // first: nothing comes unseen after the look at the list
    const list = await (await call('GET', '/api/messages', { user: inbox.user })).json();
    const there = list.messages.find(meant);
    if (there) return await take(there.id);
    let rest = '', name = '';
    for await (const piece of events.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith('event: ')) name = line.slice(7);
        if (name !== 'mail.received' || !line.startsWith('data: ')) continue;
        const mail = JSON.parse(line.slice(6));
        if (meant(mail)) return await take(mail.message_id);
      }
    }
    throw new Error('the event stream ended');
  } catch (err) {
    throw new Error(`no mail to ${to} with a subject that matches ${subject}: ${err.message}`);
  } finally {
    events?.body.cancel().catch(() => {});
  }
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const [to, subject, seconds] = process.argv.slice(2);
  const { MAIL_URL: url, MAIL_USER: user, MAIL_PASSWORD: password } = process.env;
  try {
    console.log(JSON.stringify(await wait({ url, user, password }, to, subject, Number(seconds))));
    process.exit(0);
  } catch (err) {
    console.error(err.message);
    process.exit(1);
  }
}
