// Package moderation says what becomes of lines, and brings what people must decide before moderators.
//
// # The order
//
// Who is banned, muted or too fast never comes this far (package chat). Then the first that speaks decides:
//
//  1. the rules of the room and of all rooms (package rules): refuse, time out, hide, flag, alert;
//  2. the local scorer, which knows what is toxic anywhere: 422 "Toxic content";
//  3. the external engine, where one is set (VEZE_SERVICE_XENGINE): it gets the line with the five before it and has 300 ms. After five
//     failures in a row it is left alone for half a minute. When it does not answer the line stands and is
//     asked about again later (a row in the store, tried for a day), or, in a room that is set to fail closed, is
//     refused with 503. Direct rooms are sent to it only where their people said so.
//
// A line that a rule flags and one that people report are one thing: a case, open until a moderator decides. An
// edit goes the same way as a new line. What moderators decide is written down with who, when and why, and can be undone.
//
// A Pipeline and a Service are safe for concurrent use. The rules of a room are kept in memory, and read again when they change.
package moderation
