//go:build !linux

package httpserver

import (
	"errors"
	"net"
)

// refuseConnections is known on Linux only. Elsewhere a connection that is made
// in the moment of the stop may be reset.
func refuseConnections(*net.TCPListener) error { return errors.ErrUnsupported }

func untaken(*net.TCPListener) int { return 0 }
