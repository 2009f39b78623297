package store

// EmailListQuery lets a test ask the engine how it reads a list.
var EmailListQuery = emailListQuery
