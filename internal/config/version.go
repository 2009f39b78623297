package config

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is what a release build names with -ldflags "-X uniqverse/internal/config.release=1.2.3".
var release = "dev"

// Version returns the release's number, or "dev" for a build from source.
func Version() string { return release }

// Build returns one line that says exactly what is running: version, commit (with "+changes"
// when the tree had some), Go version and platform.
func Build() string {
	commit, changed := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = "+changes"
			}
		}
	}
	return fmt.Sprintf("uniqverse %s, commit %s%s, %s, %s/%s", release, commit, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
