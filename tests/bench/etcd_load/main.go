// etcd_load puts values of 200 bytes under 10,000 keys of an etcd cluster, N in flight, each waiting for its own acknowledgement.
//
// Usage: etcd_load ENDPOINT SECONDS N... For each N a line of JSON: {"in_flight", "per_s", "p50_us", "p99_us"}. Clients share gRPC connections,
// 16 to one, as etcd's own benchmark does by default.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/v3"
)

const (
	valueBytes           = 200
	keys                 = 10000
	clientsPerConnection = 16
)

func connect(endpoint string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second})
	check(err)
	_, err = client.Put(context.Background(), "warm", "up")
	check(err)
	return client
}

func measure(endpoint string, seconds float64, inFlight int) {
	var connections []*clientv3.Client
	for i := 0; i < inFlight; i += clientsPerConnection {
		connections = append(connections, connect(endpoint))
	}
	var stop atomic.Bool
	var group sync.WaitGroup
	samples := make([][]int64, inFlight)
	value := string(make([]byte, valueBytes))
	start := time.Now()
	for worker := 0; worker < inFlight; worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			chance := rand.New(rand.NewSource(int64(worker)))
			for !stop.Load() {
				began := time.Now()
				_, err := connections[worker/clientsPerConnection].Put(context.Background(), fmt.Sprintf("key-%05d", chance.Intn(keys)), value)
				check(err)
				samples[worker] = append(samples[worker], time.Since(began).Microseconds())
			}
		}(worker)
	}
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	stop.Store(true)
	group.Wait()
	elapsed := time.Since(start).Seconds()
	var all []int64
	for _, of := range samples {
		all = append(all, of...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	for _, connection := range connections {
		connection.Close()
	}
	line, _ := json.Marshal(map[string]any{"in_flight": inFlight, "per_s": float64(len(all)) / elapsed, "p50_us": all[len(all)/2], "p99_us": all[len(all)*99/100]})
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: etcd_load ENDPOINT SECONDS N...")
		os.Exit(2)
	}
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	check(err)
	for _, text := range os.Args[3:] {
		inFlight, err := strconv.Atoi(text)
		check(err)
		measure(os.Args[1], seconds, inFlight)
	}
}
