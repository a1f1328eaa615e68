package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file have nodes whose certificates have expired. The clock of an engine cannot be set without that of
// the whole machine, so the swarm gets a certificate authority of the test's, which signs certificates of last year.

const nodeCert = "/var/lib/docker/swarm/certificates/swarm-node.crt"

// authority is a certificate authority whose key is known.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "swarm-ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(20, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{key, cert}, err
}

// rule makes it the authority of the swarm of this manager.
func (a *authority) rule(ctx context.Context, manager *lab.Pi) error {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	if err := manager.WriteFile("/root/ca.crt", string(cert), 0o600); err != nil {
		return err
	}
	if err := manager.WriteFile("/root/ca.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600); err != nil {
		return err
	}
	_, err = manager.Docker(ctx, "swarm", "ca", "--rotate", "--quiet", "--ca-cert=/root/ca.crt", "--ca-key=/root/ca.key")
	return err
}

// rules reports whether the Pi's certificate is one of this authority.
func (a *authority) rules(ctx context.Context, pi *lab.Pi) error {
	leaf, err := leafOf(ctx, pi)
	if err == nil && leaf.CheckSignatureFrom(a.cert) != nil {
		err = fmt.Errorf("%s has no certificate of the new authority", pi.Name)
	}
	return err
}

func leafOf(ctx context.Context, pi *lab.Pi) (*x509.Certificate, error) {
	text, err := pi.Exec(ctx, "cat", nodeCert)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no certificate in " + nodeCert)
	}
	return x509.ParseCertificate(block.Bytes)
}

// expire gives the Pi, whose engine is down, the certificate that it has with a validity that has ended.
func (a *authority) expire(ctx context.Context, pi *lab.Pi) error {
	leaf, err := leafOf(ctx, pi)
	if err != nil {
		return err
	}
	leaf.NotBefore, leaf.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().AddDate(0, -3, 0)
	leaf.SignatureAlgorithm = x509.ECDSAWithSHA256
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, leaf.PublicKey, a.key)
	if err != nil {
		return err
	}
	var chain bytes.Buffer
	for _, raw := range [][]byte{der, a.cert.Raw} {
		if err := pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: raw}); err != nil {
			return err
		}
	}
	return pi.WriteFile(nodeCert, chain.String(), 0o644)
}

func TestExpiredCertificates(t *testing.T) {
	l := lab.New(t, lab.Options{N: 2, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, time.Minute, leader, l.Pis)
	deploy(t, leader, "web")
	a, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, func(ctx context.Context) error { return a.rule(ctx, leader) }) // an exchange may still be under way
	await(t, time.Minute, func(ctx context.Context) error {
		var g errgroup.Group
		for _, pi := range l.Pis {
			g.Go(func() error { return a.rules(ctx, pi) })
		}
		return g.Wait()
	})
	worker := l.Pis[0]
	if worker == leader {
		worker = l.Pis[1]
	}
	autumn := func(pi *lab.Pi) {
		t.Helper()
		err := errors.Join(pi.StopAgent(), pi.StopEngine(), a.expire(t.Context(), pi), pi.StartEngine(), pi.WaitEngine(t.Context()), pi.StartAgent())
		if err != nil {
			t.Fatal(err)
		}
	}
	autumn(worker)
	gathered(t, time.Minute, leader, l.Pis)
	says(t, worker, "The certificate of this worker has expired while it was off: joining the swarm of "+serialName(leader)+" anew")
	noPortTrouble(t, worker)

	autumn(leader)
	says(t, leader, "The certificate of this manager has expired while it was off")
	pause(t, 10*time.Second)
	if i, err := infoOf(t.Context(), leader); err != nil || i.Swarm.LocalNodeState != "error" {
		t.Errorf("the manager has left its swarm: %+v, %v", i, err)
	}
	if _, err := leader.Exec(t.Context(), "ls", "/var/lib/docker/swarm/docker-state.json"); err != nil {
		t.Errorf("what the swarm holds is gone: %v", err)
	}
}
