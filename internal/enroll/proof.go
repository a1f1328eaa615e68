package enroll

// This file is how the proofs of package trust are bound to the channel: to its connection, and to the bytes on it.

import (
	"crypto/sha256"
	"crypto/tls"
	"strconv"
)

// proofHeader carries the proof of a request or an answer.
const proofHeader = "Pi-Agent-Proof"

// exporterLabel is for the TLS exporter (RFC 8446 section 7.5, RFC 9266 has the idea): a value that both ends of one
// connection know and nobody else, and that is another one on every connection.
const exporterLabel = "EXPORTER-pi-agent-v1"

// channel identifies a connection.
func channel(cs *tls.ConnectionState) ([]byte, error) {
	return cs.ExportKeyingMaterial(exporterLabel, nil, sha256.Size)
}

// requestText and answerText are what a proof says of the two.
func requestText(method, path string, body []byte) []byte {
	return append([]byte(method+" "+path+"\n"), body...)
}

func answerText(status int, body []byte) []byte {
	return append([]byte(strconv.Itoa(status)+"\n"), body...)
}
