package prepare

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"math/big"
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
