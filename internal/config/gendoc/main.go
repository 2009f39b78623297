// Gendoc writes the manual of the settings from the comments of config.Config: the page
// docs/config.md and the text that `uniqverse help` prints. It is run by `go generate` in
// the folder of package config; its test fails when what it would write is not what is there.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run("config.go", "../../docs/config.md", "usage.txt"); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}

func run(source, page, usage string) error {
	src, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	m, err := read(src)
	if err != nil {
		return err
	}
	if err := os.WriteFile(page, []byte(m.page()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(usage, []byte(m.usage()), 0o644)
}
