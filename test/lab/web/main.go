// Command web is the demo service: it answers every request with the name of the Pi and of the container it runs in.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	listen := flag.String("listen", ":80", "`address` to listen on")
	board := flag.String("board", "/etc/hostname", "`file` with the name of the Pi, mounted from it")
	flag.Parse()

	container, err := os.Hostname() // Docker gives a container its short id as hostname
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{
		Addr:              *listen,
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			name, err := os.ReadFile(*board)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprintf(w, "hello from %s, container %s\n", bytes.TrimSpace(name), container)
		}),
	}
	log.Fatal(server.ListenAndServe())
}
