// Package e2e holds the whole-system tests: they start the product as main does, on free
// ports and a folder of their own, and speak to it from outside as its users do, over HTTP,
// WebSocket and SMTP, and with the programs that people have (swaks, a browser). The files
// binary, process and kill build the program and run it as a process of its own, to signal,
// kill, trace and starve it; -short leaves those out.
//
// It has no code but tests. What needs a program that is not installed skips with a line that
// says so, or fails where UNIQ_REQUIRE names the program (a comma-separated list), as the gate does.
package e2e
