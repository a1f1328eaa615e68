package prepare

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEnded(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2026, 8, 25, 9, 0, 0, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.AddDate(0, -3, 0), NotAfter: end}
	der, err := x509.CreateCertificate(nil, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for now, want := range map[time.Time]bool{end.Add(-time.Second): false, end.Add(time.Second): true} {
		if got, err := ended(text, now); err != nil || got != want {
			t.Errorf("at %v: %v, %v", now, got, err)
		}
	}
	for name, text := range map[string][]byte{"empty": nil, "no certificate": []byte("x"), "torn": text[:len(text)/2],
		"garbage": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der[1:]})} {
		if got, err := ended(text, end.Add(time.Second)); err == nil || got {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// The note is moved away where the engine has its data, and only when the certificate there has expired.
func TestPutAside(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2026, 8, 25, 9, 0, 0, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: end}
	der, err := x509.CreateCertificate(nil, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "mnt/ssd/docker")
	if err := os.MkdirAll(filepath.Join(root, "swarm/certificates"), 0o755); err != nil {
		t.Fatal(err)
	}
	if done, err := putAside(root, end); done || err == nil ||
		!strings.Contains(err.Error(), root+"/swarm/certificates/swarm-node.crt") {
		t.Errorf("without a certificate: %v, %v, want an error with its path", done, err)
	}
	for name, text := range map[string][]byte{
		certName: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), noteName: []byte("{}"),
	} {
		if err := os.WriteFile(filepath.Join(root, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		now  time.Time
		want bool
	}{{end.Add(-time.Second), false}, {end.Add(time.Second), true}, {end.Add(time.Hour), false}} {
		if done, err := putAside(root, step.now); err != nil || done != step.want {
			t.Errorf("at %v: %v, %v, want %v", step.now, done, err, step.want)
		}
	}
	if _, err := os.Stat(filepath.Join(root, noteName+".expired")); err != nil {
		t.Error(err)
	}
}
