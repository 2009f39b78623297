package event

// The types of events, as the contract lists them.
const (
	ChatMessageCreated = "chat.message.created"
	ChatMessageEdited  = "chat.message.edited"
	ChatMessageDeleted = "chat.message.deleted"
	ChatMessageReacted = "chat.message.reacted"
	ChatRoomCreated    = "chat.room.created"
	ChatRoomUpdated    = "chat.room.updated"
	ChatRoomArchived   = "chat.room.archived"
	ChatPresence       = "chat.presence"

	TicketCreated     = "ticket.created"
	TicketAssigned    = "ticket.assigned"
	TicketUnassigned  = "ticket.unassigned"
	TicketUpdated     = "ticket.updated"
	TicketCommented   = "ticket.commented"
	TicketSolved      = "ticket.solved"
	TicketReopened    = "ticket.reopened"
	TicketMerged      = "ticket.merged"
	TicketSLAWarning  = "ticket.sla_warning"
	TicketSLABreached = "ticket.sla_breached"

	MailReceived = "mail.received"
	MailRead     = "mail.read"
	MailStar     = "mail.star"
	MailLabels   = "mail.labels"
	MailSent     = "mail.sent"
	MailBounced  = "mail.bounced"
	MailMoved    = "mail.moved"   // to other folders
	MailDeleted  = "mail.deleted" // for good
	MailChanged  = "mail.changed" // folders, keywords, drafts: what has no other event

	GameMatchFound         = "game.match.found"
	GameMatchStarted       = "game.match.started"
	GameMatchEnded         = "game.match.ended"
	GameKill               = "game.kill"
	GameLeaderboardUpdated = "game.leaderboard.updated"
	GameNotice             = "game.notice"

	ModerationActioned = "moderation.actioned"
	TrendDetected      = "trend.detected"

	ServiceUp   = "service.up"
	ServiceDown = "service.down"
	UserCreated = "auth.user.created"
)
