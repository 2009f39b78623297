// Package game is the game service: matchmaking, leaderboards, inventory, telemetry, the two
// small models behind /ml, live events, and the mail proxy. It keeps nothing in memory that
// a restart may not lose; everything that it acknowledges is in the store.
//
// It is not a game server: it runs no world and simulates nothing. Its rules live in files
// and packages by noun: package matchmaking (who plays whom), package rating (arithmetic),
// package realtime (sockets), and here board.go, item.go, telemetry.go, input.go and mail.go.
//
// # What is decided here, where the contract leaves it open
//
//   - A user_id is text of 1 to 128 characters; a JSON integer is taken as its decimal text.
//     "pilot" and "pilot@<our domain>" are one player. A user's token may leave it out and
//     then means itself; the demo identity and servers must name the player.
//   - A player waits in one queue at most. Enqueueing again keeps the place and takes the new
//     mmr; with another mode, region or party the player goes to the end of that queue.
//     already_queued says that there was a ticket before.
//   - Nobody is matched in the background: a match is made when /matchmaking/match is called,
//     by whoever may play, and is told to all as game.match.found.
//   - A board ranks 1, 2, 3 … without repeats. Scores are numbers as JSON has them: whole
//     numbers are exact up to 2^53.
//   - A new player owns one starter_pack from the first look on.
//   - A batch of telemetry is stored whole or refused whole, with each wrong entry named by
//     its index.
//   - Inputs posted to /ws/inputs are passed on and not stored. Their type is "input" or
//     "input.<something>", so that nobody can forge another event, and they may not hold
//     ts, id, epoch or trace, which every event has of its own.
//
// A Service is safe for concurrent use.
package game
