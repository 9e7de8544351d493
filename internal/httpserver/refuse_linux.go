package httpserver

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// refuseConnections lets a listening socket drop every request for a new
// connection (a TCP segment with SYN), so that its client asks again later or
// elsewhere. Connections that are made or half made go on.
func refuseConnections(l *net.TCPListener) error {
	// A classic BPF program, https://docs.kernel.org/networking/filter.html; for
	// a TCP socket the data begins with TCP's header, whose byte 13 has the flags.
	const flags, syn = 13, 0x02
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return fmt.Errorf("refuse connections: %w", err)
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
	if err := errors.Join(err, set); err != nil {
		return fmt.Errorf("refuse connections: %w", err)
	}
	return nil
}

// untaken is how many connections the kernel has made that the process has not
// accepted yet; 0 if that can't be told.
func untaken(l *net.TCPListener) int {
	raw, err := l.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	if err := raw.Control(func(fd uintptr) {
		// Of a listening socket this is the length of its queue: tcp_get_info in
		// https://github.com/torvalds/linux/blob/master/net/ipv4/tcp.c
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int(info.Unacked)
		}
	}); err != nil {
		return 0
	}
	return n
}
