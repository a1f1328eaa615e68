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
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file have nodes whose certificates have expired. The clock of an engine cannot be set without that
// of the whole machine, so the swarm gets a certificate authority of the test's, which signs certificates of last year.

const nodeCert = "swarm/certificates/swarm-node.crt" // below the engine's data

// elsewhere lets the engine of a machine have its data on a disk of its own, which is mounted at boot.
const elsewhere = `systemctl stop docker.socket docker.service
mkdir -p /mnt/ssd /etc/docker
echo '/var/lib/docker /mnt/ssd none bind 0 0' >>/etc/fstab
systemctl daemon-reload
systemctl start mnt-ssd.mount
echo '{"data-root": "` + elsewhereRoot + `"}' >/etc/docker/daemon.json
systemctl start docker.service`

const elsewhereRoot = "/mnt/ssd/docker"

// rootOf is where the engine of a board has its data, which runs or does not.
func rootOf(ctx context.Context, pi *lab.Computer) string {
	if _, err := pi.Exec(ctx, "test", "-d", elsewhereRoot+"/swarm"); err == nil {
		return elsewhereRoot
	}
	return dockerd.DefaultRoot
}

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
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(20, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{key, cert}, err
}

// rule makes it the authority of the swarm of this manager.
func (a *authority) rule(ctx context.Context, manager *lab.Computer) error {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	if err := manager.WriteFile("/root/ca.crt", string(cert), 0o600); err != nil {
		return err
	}
	if err := manager.WriteFile("/root/ca.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		0o600); err != nil {
		return err
	}
	_, err = manager.Docker(ctx, "swarm", "ca", "--rotate", "--quiet", "--ca-cert=/root/ca.crt", "--ca-key=/root/ca.key")
	return err
}

// rules reports whether the Pi's certificate is one of this authority.
func (a *authority) rules(ctx context.Context, pi *lab.Computer) error {
	leaf, err := leafOf(ctx, pi)
	if err == nil && leaf.CheckSignatureFrom(a.cert) != nil {
		err = fmt.Errorf("%s has no certificate of the new authority", pi.Name)
	}
	return err
}

func leafOf(ctx context.Context, pi *lab.Computer) (*x509.Certificate, error) {
	text, err := pi.Exec(ctx, "cat", rootOf(ctx, pi)+"/"+nodeCert)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no certificate in " + nodeCert)
	}
	return x509.ParseCertificate(block.Bytes)
}

// expire replaces the certificate of the Pi, whose engine is down, with the same one whose validity has ended.
func (a *authority) expire(ctx context.Context, pi *lab.Computer) error {
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
	return pi.WriteFile(rootOf(ctx, pi)+"/"+nodeCert, chain.String(), 0o644)
}

// reign makes a the authority of a swarm and of these nodes of it, the first of which manages it.
func (a *authority) reign(t *testing.T, nodes ...*lab.Computer) {
	t.Helper()
	await(t, soon, func(ctx context.Context) error { return a.rule(ctx, nodes[0]) }) // an exchange may still be under way
	await(t, soon, func(ctx context.Context) error {
		var g errgroup.Group
		for _, c := range nodes {
			g.Go(func() error { return a.rules(ctx, c) })
		}
		return g.Wait()
	})
}

func TestExpiredWorker(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 2, Config: quick}, withKey(clusterkey.Generate()))
	leader, worker := l.leader, l.workers[0]
	deploy(t, leader, "web")
	a, err := newAuthority()
	must(t, err)
	a.reign(t, &leader.Computer, &worker.Computer)
	stopAgents(t, worker)
	restartEngine(t, worker, func() { must(t, a.expire(t.Context(), &worker.Computer)) })
	startAgents(t, worker)
	took := gathered(t, soon, leader, l.Pis)
	repaired(t, worker, "a summer on the shelf: the certificate of a worker has expired", "it leaves and joins anew",
		"The certificate of this worker has expired while it was off: joining the swarm of "+serialName(leader)+" anew", took)
	noPortTrouble(t, worker)
}

// The certificate of the only manager has expired. Its swarm comes back with all that is in it, though the plug is
// pulled when its engine has forgotten that it is in one.
func TestExpiredManager(t *testing.T) {
	t.Parallel()
	// The second has the lowest serial. The engine of one has its data at the usual place, and that of the other
	// elsewhere.
	t.Run("bookworm", func(t *testing.T) { expiredManager(t, nil, "trixie", "bookworm") })
	t.Run("trixie, data-root",
		func(t *testing.T) { expiredManager(t, map[int]string{1: elsewhere}, "bookworm", "trixie") })
}

// forgottenMax is how long a machine may take from its start until its engine is made to forget its swarm.
const forgottenMax = 6 * time.Minute

func expiredManager(t *testing.T, script map[int]string, suites ...string) {
	l, ids := formOn(t, script, suites...)
	worker, leader := l.Machines[0], l.Machines[1]
	root := rootOf(t.Context(), &leader.Computer)
	if want := script != nil; want != (root == elsewhereRoot) {
		t.Fatalf("the data of the engine are in %s", root)
	}
	docker(t, leader, "secret", "create", "s", "/etc/hostname")
	deploy(t, leader, "web")
	a, err := newAuthority()
	must(t, err)
	a.reign(t, &leader.Computer, &worker.Computer)
	holds := func() string {
		t.Helper()
		return docker(t, leader, "service", "ls", "--quiet") + "\n" + docker(t, leader, "secret", "ls", "--quiet") + "\n" +
			docker(t, leader, "swarm", "join-token", "--quiet", "worker")
	}
	was := holds()
	note := root + "/swarm/docker-state.json"
	remembers(t, leader, `"sole": true`)
	run(t, leader, "systemctl", "stop", "docker.socket", "docker.service")
	must(t, a.expire(t.Context(), &leader.Computer), leader.PowerOff(), leader.Boot(t.Context()))
	// It is there for a second or two only.
	_, err = leader.Exec(limited(t, forgottenMax), "sh", "-c", "until [ -e "+note+".expired ]; do sleep 0.02; done")
	must(t, err)
	must(t, leader.PowerOff(), leader.Boot(t.Context()))
	took := awaitSame(t, atLast, l.Machines, ids)
	if is := holds(); is != was {
		t.Errorf("the swarm holds %q, held %q", is, was)
	}
	await(t, soon, func(ctx context.Context) error {
		leaf, err := leafOf(ctx, &leader.Computer)
		if err == nil && leaf.NotAfter.Before(time.Now()) {
			err = fmt.Errorf("the certificate is valid until %v", leaf.NotAfter)
		}
		return err
	})
	diagnosis, _ := leader.Exec(t.Context(), "pi-agent", "doctor") // it has more to say of a machine that is no Pi
	for _, want := range []string{root + " has ", "The certificate of this node is valid for",
		"The engine is from the package docker.io"} {
		if !strings.Contains(string(diagnosis), want) {
			t.Errorf("doctor does not say %q:\n%s", want, diagnosis)
		}
	}
	story, err := leader.Journal(t.Context(), service)
	must(t, err)
	const sentence = "The certificate of this manager has expired while it was off: " +
		"bringing its swarm back with all that is in it."
	if !slices.Contains(story, sentence) {
		t.Errorf("its journal lacks %q:\n%s", sentence, strings.Join(story, "\n"))
	}
	recorded(t, "a summer on the shelf: the certificate of the only manager has expired",
		"its engine is made to forget the swarm, and then the manager of that swarm again, with all that it holds",
		sentence, took)
}
