-- The journey of a message: when what happened to it, and where it was put when it came. Mail from before knows neither.

ALTER TABLE email_raw ADD COLUMN marks TEXT NOT NULL DEFAULT '[]';              -- JSON list of step and microseconds
ALTER TABLE email_messages ADD COLUMN first_folders TEXT NOT NULL DEFAULT '[]'; -- JSON list of ids
