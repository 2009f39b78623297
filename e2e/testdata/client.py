"""Ten mails to each port: client.py MX SUBMISSION SUBMISSIONS USER PASSWORD."""
import smtplib
import ssl
import sys
from email.message import EmailMessage

mx, submission, submissions, user, password = sys.argv[1:]
anyone = ssl.create_default_context()
anyone.check_hostname = False
anyone.verify_mode = ssl.CERT_NONE


def ten(client, word, sender):
    for i in range(10):
        m = EmailMessage()
        m["From"], m["To"], m["Subject"] = sender, "pilot@vezeuniqverse.com", f"{word} {i}"
        m.set_content(".a dot first\n.\nbär\n", cte="8bit")
        client.send_message(m)


def at(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


with smtplib.SMTP(*at(mx), local_hostname="peer.test", timeout=20) as client:
    ten(client, "mx", "a@peer.test")
with smtplib.SMTP(*at(submission), local_hostname="peer.test", timeout=20) as client:
    client.starttls(context=anyone)
    client.login(user, password)
    ten(client, "submission", user + "@vezeuniqverse.com")
with smtplib.SMTP_SSL(*at(submissions), local_hostname="peer.test", timeout=20, context=anyone) as client:
    client.login(user, password)
    ten(client, "submissions", user + "@vezeuniqverse.com")
