package spam

// Rule is one entry of the catalogue: what a reason's name means.
type Rule struct {
	Rule  string  `json:"rule"`
	Least float64 `json:"least"` // the fewest points that it gives; negative ones speak for the message
	Most  float64 `json:"most"`
	Text  string  `json:"text"` // a sentence for people
}

// Catalogue returns every reason there is. Nothing is counted under a name that is not here.
func Catalogue() []Rule {
	one := func(name string, points float64, text string) Rule { return Rule{name, points, points, text} }
	return []Rule{
		one("dmarc_fail", 3, "The author's domain says that this message is not from it (DMARC)."),
		one("dmarc_reject", 1.5, "The author's domain asks to reject or quarantine mail that fails its checks."),
		one("dmarc_pass", -1, "The author's domain confirms that the message is from it (DMARC)."),
		one("spf_fail", 2, "The sender's domain says that this host may not send for it (SPF)."),
		one("spf_softfail", 1, "The sender's domain says that this host should not send for it (SPF)."),
		one("spf_permerror", 0.5, "The sender's domain publishes an SPF record that cannot be used."),
		one("dkim_fail", 1, "A signature in the message does not hold: the text was changed, or the signature is false (DKIM)."),
		one("blocklisted", 3, "A blocklist in the DNS has the sending host."),
		one("sender_has_no_domain", 2, "The sender's domain does not exist, or says that it takes no mail: nobody could answer."),
		one("peer_has_no_name", 0.5, "The sending host has no name in the DNS that leads back to it."),
		one("helo_is_us", 2, "Another host called itself by this server's name."),
		one("helo_is_bare", 0.5, "The sending host named itself by an address, or by a name without a dot."),
		one("no_from", 2, "The message names no author, or none that can be read."),
		one("many_from", 2, "The message names its author twice."),
		one("no_date", 0.5, "The message has no date."),
		one("date_far", 1, "The date is more than a day ahead or thirty days back."),
		one("no_message_id", 0.5, "The message has no Message-ID."),
		one("name_is_address", 2, "The author's name is an address at another domain than the author's."),
		one("reply_elsewhere", 0.5, "Answers would go to another domain than the author's."),
		one("subject_shouts", 1, "The subject is in capitals alone."),
		one("subject_excited", 0.5, "The subject has \"!!!\" or \"$$$\"."),
		one("html_only", 0.5, "There is HTML and no plain text."),
		one("malformed", 0.5, "Something in the header or the structure is broken."),
		one("program_attached", 2.5, "A file is attached that a double click runs."),
		{ruleOwnSpam, 0, 4, "You moved mail of this verified sender to Junk before."},
		{ruleOwnHam, -4, 0, "You kept mail of this verified sender, or moved it out of Junk."},
		{ruleAllSpam, 0, 2, "Several people here moved mail of this verified sender to Junk."},
		{ruleAllHam, -2, 0, "Several people here kept mail of this verified sender."},
		one(ruleKnown, -0.5, "This verified sender has written to you for a while, and none of it was junk."),
		one(ruleOften, 1, "Most of what this verified sender wrote to you was junk."),
		{ruleBayes, -4, 6, "The words of the message are like those of mail that you moved to Junk, or that you kept."},
		{ruleBayesAll, -1.5, 3, "The words of the message are like those of mail that several people here moved to Junk, or kept."},
		one(ruleAllowed, -20, "The sender is on your allow list, and is who they say they are."),
		one(ruleNotAllowed, 0, "The sender is on your allow list, but nothing proves that it is really them: the list was not used."),
		one(ruleBlocked, 20, "The sender is on your block list."),
		{ruleRspamd, -2, 8, "The scanner rspamd looked at the message."},
		{ruleMilter, 0, 8, "The milter looked at the message."},
		one(ruleScannerDown, 0, "A scanner did not answer in time; the message was judged without it."),
		one(ruleUnjudged, 0, "What is known about words and senders could not be read; the message was judged without it."),
	}
}

// The names of reasons that are not fixed rules.
const (
	ruleOwnSpam     = "sender_junked_by_you"
	ruleOwnHam      = "sender_kept_by_you"
	ruleAllSpam     = "sender_junked_by_many"
	ruleAllHam      = "sender_kept_by_many"
	ruleKnown       = "sender_known"
	ruleOften       = "sender_often_junk"
	ruleBayes       = "words"
	ruleBayesAll    = "words_of_all"
	ruleAllowed     = "allowed_by_you"
	ruleNotAllowed  = "allowed_but_unproven"
	ruleBlocked     = "blocked_by_you"
	ruleRspamd      = "rspamd"
	ruleMilter      = "milter"
	ruleScannerDown = "scanner_down"
	ruleUnjudged    = "not_looked_up"
)
