package obs

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// A larger crash log is put aside when the process starts.
const crashLogSize = 1 << 20

// keepCrashes has the runtime write its last words, the stack of a panic or of
// a fatal error, beside the log as well as to standard error: the shipper reads
// <service>.crash.log, and standard error is gone with a container.
func keepCrashes(logFile string) error {
	base := strings.TrimSuffix(logFile, ".log")
	name := base + ".crash.log"
	if info, err := os.Stat(name); err == nil && info.Size() > crashLogSize {
		// Under a name that ends the same way, so that what is unread is still read.
		if err := os.Rename(name, base+time.Now().UTC().Format("-2006-01-02T15-04-05.000")+".crash.log"); err != nil {
			return fmt.Errorf("put %s aside: %w", name, err)
		}
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open crash log: %w", err)
	}
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return fmt.Errorf("open crash log: %w", err)
	}
	return f.Close() // the runtime has a copy of its own
}
