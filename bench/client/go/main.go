// Go's own HTTP client: the same requests as the others send.
//
// main URL ROOT AT_ONCE WARM SECONDS
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

var requests, bytes int64

func fail(why interface{}) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

// CPU time of this process, the kernel's for it included.
func cpuUs() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	us := func(time syscall.Timeval) float64 { return float64(time.Sec)*1e6 + float64(time.Usec) }
	return us(usage.Utime) + us(usage.Stime)
}

// The most memory that this process has had at a time.
func memoryKib() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmHWM:" {
			number, _ := strconv.ParseFloat(words[1], 64)
			return number
		}
	}
	return 0
}

func ask(client *http.Client, url string, large bool) {
	piece := make([]byte, 32*1024)
	for {
		response, err := client.Get(url)
		if err != nil {
			fail(err)
		}
		if response.StatusCode != 200 {
			fail(response.Status)
		}
		length, expected := 0, 13
		if large {
			expected = 100 * 1024 * 1024
			for {
				n, err := response.Body.Read(piece)
				length += n
				atomic.AddInt64(&bytes, int64(n))
				if err == io.EOF {
					break
				}
				if err != nil {
					fail(err)
				}
			}
		} else {
			body, err := io.ReadAll(response.Body)
			if err != nil {
				fail(err)
			}
			length = len(body)
		}
		response.Body.Close()
		if length != expected {
			fail(length)
		}
		atomic.AddInt64(&requests, 1)
	}
}

func seconds(text string) time.Duration {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		fail(err)
	}
	return time.Duration(number * float64(time.Second))
}

func main() {
	url := os.Args[1]
	root, err := os.ReadFile(os.Args[2])
	if err != nil {
		fail(err)
	}
	atOnce, err := strconv.Atoi(os.Args[3])
	if err != nil {
		fail(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	// Without the first it keeps two connections to a host.
	transport := &http.Transport{MaxIdleConnsPerHost: atOnce, TLSClientConfig: &tls.Config{RootCAs: roots}}
	client := &http.Client{Transport: transport}
	for n := 0; n < atOnce; n++ {
		go ask(client, url, strings.HasSuffix(url, "/large"))
	}
	// The others wait for their first answers, too.
	for atomic.LoadInt64(&requests) < int64(atOnce) && atomic.LoadInt64(&bytes) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(seconds(os.Args[4]))
	fromRequests, fromBytes, fromCPU, from := atomic.LoadInt64(&requests), atomic.LoadInt64(&bytes), cpuUs(), time.Now()
	time.Sleep(seconds(os.Args[5]))
	line, _ := json.Marshal(map[string]interface{}{
		"requests":   atomic.LoadInt64(&requests) - fromRequests,
		"bytes":      atomic.LoadInt64(&bytes) - fromBytes,
		"cpu_us":     cpuUs() - fromCPU,
		"seconds":    time.Since(from).Seconds(),
		"memory_kib": memoryKib(),
	})
	fmt.Println(string(line))
}
