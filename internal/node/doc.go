// Package node is the composition root: it turns a config.Config into a running process. The
// order in which things are made, served and ended is read in Start and Shutdown, from top to
// bottom, and nowhere else.
//
// It decides nothing that a service could decide. Only main and the whole-system tests import it.
package node
