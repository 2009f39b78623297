-- What becomes of a mail in the queue changes the submission that made it: its state is another one, and clients that ask what
-- changed are told.

CREATE INDEX email_jmap_submissions_queue ON email_jmap_submissions (queue_id);

CREATE TRIGGER email_jmap_submissions_standing AFTER UPDATE OF state, attempts, last_reply ON email_queue
WHEN (OLD.last_reply <> NEW.last_reply OR OLD.attempts = 0 AND NEW.attempts > 0
		OR OLD.state <> NEW.state AND (OLD.state IN ('sent', 'bounced', 'dropped') OR NEW.state IN ('sent', 'bounced', 'dropped')))
	AND EXISTS (SELECT 1 FROM email_jmap_submissions s WHERE s.queue_id = NEW.queue_id)
BEGIN
	UPDATE email_mailboxes SET modseq = modseq + 1 WHERE id IN (SELECT s.mailbox_id FROM email_jmap_submissions s WHERE s.queue_id = NEW.queue_id);
	UPDATE email_jmap_submissions SET modseq = (SELECT m.modseq FROM email_mailboxes m WHERE m.id = email_jmap_submissions.mailbox_id) WHERE queue_id = NEW.queue_id;
END;
