-- DMARC's aggregate reports: those that others sent about our domain, and what is counted for ours.

CREATE TABLE email_dmarc_reports (
	id          INTEGER PRIMARY KEY,
	org         TEXT NOT NULL,
	report_id   TEXT NOT NULL,
	domain      TEXT NOT NULL,
	begin_at    INTEGER NOT NULL,
	end_at      INTEGER NOT NULL,
	received_at INTEGER NOT NULL,
	messages    INTEGER NOT NULL,
	passed      INTEGER NOT NULL,
	sources     TEXT NOT NULL,               -- JSON list
	UNIQUE (org, report_id, domain)
) STRICT;

CREATE INDEX email_dmarc_reports_begin ON email_dmarc_reports (begin_at);

CREATE TABLE email_dmarc_counts (
	domain TEXT NOT NULL,                    -- where the record was found
	day    INTEGER NOT NULL,                 -- its beginning, unix ms
	seen   TEXT NOT NULL,                    -- JSON: what the checks found
	count  INTEGER NOT NULL,
	PRIMARY KEY (domain, day, seen)
) STRICT, WITHOUT ROWID;

CREATE INDEX email_dmarc_counts_day ON email_dmarc_counts (day, domain);
