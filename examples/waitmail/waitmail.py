"""Waits for a mail to an address whose subject matches, prints its first link and code, and removes it. See README.md."""
import base64, json, os, re, sys, time
import urllib.parse, urllib.request


def wait(inbox, to, subject, seconds):
    """Returns the newest mail to an address whose subject matches a pattern, and removes it; waits for one."""
    end = time.monotonic() + seconds
    login = base64.b64encode(f"{inbox['user']}:{inbox['password']}".encode()).decode()

    def call(method, path, **query):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        url = f"{inbox['url']}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, method=method, headers={"Authorization": "Basic " + login})
        return urllib.request.urlopen(request, timeout=left)

    def take(number):
        with call("GET", f"/api/messages/{number}") as answer:
            mail = json.load(answer)
        call("DELETE", f"/api/messages/{number}", forever="true").close()
        links = re.findall(r'https?://[^\s<>"]+', mail["text"])
        code = re.search(r"\b[0-9]{4,8}\b", re.sub(r'https?://[^\s<>"]+', "", mail["text"]))
        return {"id": number, "subject": mail["subject"], "link": links[0] if links else "", "code": code[0] if code else ""}

    def meant(mail):
        return (to in mail["to"] or to == mail["recipient"]) and re.search(subject, mail["subject"])

    try:
        with call("GET", "/api/events", user=inbox["user"]) as events:  # first: nothing comes unseen after the look at the list
            with call("GET", "/api/messages", user=inbox["user"]) as answer:
                for mail in json.load(answer)["messages"]:
                    if meant(mail):
                        return take(mail["id"])
            name = ""
            for line in events:
                field, _, value = line.decode().rstrip("\r\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data" and name == "mail.received":
                    mail = json.loads(value)
                    if meant(mail):
                        return take(mail["message_id"])
                if time.monotonic() > end:
                    raise TimeoutError("the time is over")
            raise ConnectionError("the event stream ended")
    except OSError as err:
        raise TimeoutError(f"no mail to {to} with a subject that matches {subject}: {err}") from err


if __name__ == "__main__":
    box = {name: os.environ["MAIL_" + name.upper()] for name in ("url", "user", "password")}
    try:
        print(json.dumps(wait(box, sys.argv[1], sys.argv[2], float(sys.argv[3]))))
    except OSError as err:
        sys.exit(str(err))
