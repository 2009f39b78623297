-- Mail that was not taken: a row for each recipient it was refused for, kept for a week.

CREATE TABLE email_refusals (
	id         INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	mailbox    TEXT NOT NULL,                 -- local part of whom it concerns here: who missed it, or who sent it; '' for nobody
	sender     TEXT NOT NULL,                 -- reverse-path, lower case; '' for the null sender
	recipient  TEXT NOT NULL,                 -- lower case; '' when none was named yet
	mode       TEXT NOT NULL,                 -- of the listener: mx, submission, submissions
	peer       TEXT NOT NULL,
	helo       TEXT NOT NULL,
	user_name  TEXT NOT NULL,                 -- who had signed in, '' for nobody
	verb       TEXT NOT NULL,
	message    TEXT NOT NULL,                 -- id of the message, '' before its content came
	code       INTEGER NOT NULL,
	enhanced   TEXT NOT NULL,
	text       TEXT NOT NULL,
	rule       TEXT NOT NULL,
	detail     TEXT NOT NULL
) STRICT;

CREATE INDEX email_refusals_mailbox ON email_refusals (mailbox, id);
CREATE INDEX email_refusals_sender ON email_refusals (sender, id);
CREATE INDEX email_refusals_recipient ON email_refusals (recipient, id);
CREATE INDEX email_refusals_at ON email_refusals (at);
