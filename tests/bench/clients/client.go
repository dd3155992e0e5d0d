// SPDX-License-Identifier: MIT

// Go's net and crypto/tls, as their documentation shows them: a goroutine for each connection, with
// calls that block, a deadline set before each read, and a bufio.Reader that cuts lines. Figures are
// summed up when a goroutine ends. With tls=FILE crypto/tls, one configuration for all; it has
// no cache of sessions, so none is resumed. Built and run by tests/bench/run.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	connectTimeout = 30 * time.Second
	inputTimeout   = 300 * time.Second
	settle         = 500 * time.Millisecond // idle with TLS: for what comes after the handshake
	handshakes     = 512                    // opened at a time
	lineBuffer     = 256
	bulkBuffer     = 65536
	serverName     = "peer.test"
)

var line = []byte("ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS\r\n")

type job struct {
	work                    string
	port                    int
	connections, operations int64
	timeouts                bool
	config                  *tls.Config // nil: no TLS
}

type figures struct {
	operations, bytes, errors int64
	user, system, wall        time.Duration
	memory                    int64
}

type client struct {
	job     job
	started int64 // connections
	figures figures
}

// ---- figures ----

func usage() (user, system time.Duration) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		fail(err)
	}
	return time.Duration(used.Utime.Nano()), time.Duration(used.Stime.Nano())
}

// measured runs the measured phase.
func (c *client) measured(run func()) {
	user, system := usage()
	began := time.Now()
	run()
	c.figures.wall = time.Since(began)
	userAfter, systemAfter := usage()
	c.figures.user, c.figures.system = userAfter-user, systemAfter-system
}

// memory is what is anonymous, without what the collector can give back.
func memory() int64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		fail(err)
	}
	for _, row := range strings.Split(string(text), "\n") {
		fields := strings.Fields(row)
		if len(fields) > 1 && fields[0] == "Anonymous:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib * 1024
		}
	}
	fail(errors.New("smaps_rollup has no line Anonymous"))
	return 0
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench client:", err)
	os.Exit(1)
}

func (c *client) failed(err error) {
	fmt.Fprintln(os.Stderr, "bench client:", err)
	atomic.AddInt64(&c.figures.errors, 1)
}

func (c *client) add(operations, bytes int64) {
	atomic.AddInt64(&c.figures.operations, operations)
	atomic.AddInt64(&c.figures.bytes, bytes)
}

func (c *client) report() {
	f := &c.figures
	fmt.Printf("{\"operations\":%d,\"bytes\":%d,\"errors\":%d,\"cpu_user_s\":%.6f,"+
		"\"cpu_system_s\":%.6f,\"wall_s\":%.6f,\"memory_bytes\":%d}\n", f.operations, f.bytes,
		f.errors, f.user.Seconds(), f.system.Seconds(), f.wall.Seconds(), f.memory)
	if f.errors > 0 {
		os.Exit(1)
	}
}

// ---- connections ----

// patient waits for input so long, each time anew.
type patient struct {
	net.Conn
}

func (p patient) Read(buffer []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(inputTimeout)); err != nil {
		return 0, err
	}
	return p.Conn.Read(buffer)
}

func (c *client) connect(number int64, dialer *net.Dialer) (net.Conn, error) {
	address := fmt.Sprintf("127.0.0.%d:%d", 1+number%32, c.job.port)
	if c.job.config != nil {
		return tls.DialWithDialer(dialer, "tcp", address, c.job.config)
	}
	return dialer.Dial("tcp", address)
}

func (c *client) dial(number int64) (net.Conn, error) {
	if !c.job.timeouts {
		return c.connect(number, &net.Dialer{})
	}
	conn, err := c.connect(number, &net.Dialer{Timeout: connectTimeout})
	if err != nil {
		return nil, err
	}
	return patient{conn}, nil
}

// echo sends the line and compares what comes back.
func (c *client) echo(conn net.Conn, reader *bufio.Reader) error {
	if _, err := conn.Write(line); err != nil {
		return err
	}
	answer, err := reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.Equal(answer, line) {
		return errors.New("an echo that differs")
	}
	return nil
}

// each runs a function for each connection at once, and waits for all of them.
func (c *client) each(run func(number int64) error) {
	var all sync.WaitGroup
	for i := int64(0); i < c.job.connections; i++ {
		all.Add(1)
		go func(number int64) {
			defer all.Done()
			if err := run(number); err != nil {
				c.failed(err)
			}
		}(i)
	}
	all.Wait()
}

func (c *client) openAll() []net.Conn {
	open := make([]net.Conn, c.job.connections)
	places := make(chan struct{}, handshakes)
	c.each(func(number int64) (err error) {
		places <- struct{}{}
		open[number], err = c.dial(number)
		<-places
		return err
	})
	if c.figures.errors > 0 {
		c.report()
	}
	return open
}

// ---- the workloads ----

func (c *client) stormOne() error {
	conn, err := c.dial(atomic.AddInt64(&c.started, 1))
	if err != nil {
		return err
	}
	defer conn.Close()
	return c.echo(conn, bufio.NewReaderSize(conn, lineBuffer))
}

// storm has each goroutine open one connection after another.
func (c *client) storm() {
	left := c.job.operations
	c.measured(func() {
		c.each(func(int64) error {
			var done int64
			for ; atomic.AddInt64(&left, -1) >= 0; done++ {
				if err := c.stormOne(); err != nil {
					return err
				}
			}
			c.add(done, done*int64(len(line)))
			return nil
		})
	})
}

func (c *client) pingpong() {
	open := c.openAll()
	count := c.job.operations / c.job.connections
	c.measured(func() {
		c.each(func(number int64) error {
			conn := open[number]
			reader := bufio.NewReaderSize(conn, lineBuffer)
			for i := int64(0); i < count; i++ {
				if err := c.echo(conn, reader); err != nil {
					return err
				}
			}
			c.add(count, count*int64(len(line)))
			return nil
		})
	})
}

// idleOne waits for input that does not come, as long as the process lives.
func (c *client) idleOne(conn net.Conn) {
	var one [1]byte
	if _, err := conn.Read(one[:]); err != nil {
		fail(err)
	}
}

func (c *client) idle() {
	before := memory()
	for _, conn := range c.openAll() {
		go c.idleOne(conn)
	}
	time.Sleep(settle)
	c.figures.memory = memory() - before
	c.figures.operations = c.job.connections
}

func (c *client) bulkOne(number int64) error {
	conn, err := c.dial(number)
	if err != nil {
		return err
	}
	defer conn.Close()
	buffer := make([]byte, bulkBuffer)
	var received int64
	for {
		n, err := conn.Read(buffer)
		received += int64(n)
		if err == io.EOF {
			c.add(received, received)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *client) linesOne(number int64) error {
	conn, err := c.dial(number)
	if err != nil {
		return err
	}
	defer conn.Close()
	var count, received int64
	var last []byte
	reader := bufio.NewReaderSize(conn, bulkBuffer)
	for {
		record, err := reader.ReadSlice('\n')
		if err == io.EOF && len(record) == 0 {
			c.add(count, received)
			return nil
		}
		if err != nil {
			return err
		}
		if bytes.Equal(record, last) {
			return errors.New("a line that comes twice")
		}
		last = append(last[:0], record...)
		count++
		received += int64(len(record))
	}
}

func (c *client) run() {
	switch c.job.work {
	case "storm":
		c.storm()
	case "pingpong":
		c.pingpong()
	case "idle":
		c.idle()
	case "bulk":
		c.measured(func() { c.each(c.bulkOne) })
	case "lines":
		c.measured(func() { c.each(c.linesOne) })
	default:
		fail(errors.New("no such work: " + c.job.work))
	}
}

// ---- the command line ----

func configuration(path string) *tls.Config {
	root, err := os.ReadFile(path)
	if err != nil {
		fail(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		fail(errors.New(path + " holds no certificate"))
	}
	return &tls.Config{RootCAs: pool, ServerName: serverName}
}

func readJob(arguments []string) job {
	j := job{timeouts: true}
	for _, argument := range arguments {
		key, value, _ := strings.Cut(argument, "=")
		number, _ := strconv.ParseInt(value, 10, 64)
		switch key {
		case "work":
			j.work = value
		case "port":
			j.port = int(number)
		case "connections":
			j.connections = number
		case "operations":
			j.operations = number
		case "timeouts":
			j.timeouts = number != 0
		case "tls":
			j.config = configuration(value)
		}
	}
	return j
}

func main() {
	c := &client{job: readJob(os.Args[1:])}
	c.run()
	c.report()
}
