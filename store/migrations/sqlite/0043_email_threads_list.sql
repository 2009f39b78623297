-- A folder is shown with one row for each conversation: the newest message of a thread is found from any older one in
-- one step. The index that had the thread's messages by id is not needed beside it.

CREATE INDEX email_messages_conversation ON email_messages (mailbox_id, thread_id, received_at, id);
DROP INDEX email_messages_thread;
