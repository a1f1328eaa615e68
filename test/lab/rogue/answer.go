package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"
)

const proofHeader = "Pi-Agent-Proof"

// answer serves whoever asks: it says that it is a manager, hands out a ticket to its own swarm, and sends the asker's
// proof back as its own.
func (r *rogue) answer() error {
	claim := fmt.Sprintf(`{"claim":{"serial":%q,"cluster":"pi","state":"manager","swarm":%q}}`, serial, swarmID)
	ticket := fmt.Sprintf(`{"token":"SWMTKN-1-rogue","managers":["%s:2377"]}`, r.addr)
	serve := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(io.LimitReader(req.Body, 1<<16))
			log.Printf("served %s from %s: %s %v", req.URL.Path, req.RemoteAddr, body, err)
			w.Header().Set(proofHeader, req.Header.Get(proofHeader))
			if _, err := io.WriteString(w, answer); err != nil {
				log.Print(err)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/hello", serve(claim))
	mux.HandleFunc("/v1/join", serve(ticket))
	s := http.Server{
		Addr: ":2378", Handler: mux, ReadHeaderTimeout: 5 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{r.cert}, ClientAuth: tls.RequestClientCert},
	}
	return s.ListenAndServeTLS("", "")
}
