package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/docker/client"
)

const engineName = "dockerd"

// StartEngine starts dockerd with the arguments of Options.EngineArgs and these, and does not wait for it. Its
// containers vanish with the Pi; images, volumes and the swarm's state stay on the Pi's disk.
func (p *Pi) StartEngine(args ...string) error {
	argv := []string{engineName,
		"--cgroup-parent=/" + cgroup(p.lab.ID) + "/" + p.Name,
		"--exec-opt=native.cgroupdriver=cgroupfs",
	}
	argv = append(argv, p.lab.options.EngineArgs...)
	cmd := p.Command(context.Background(), append(argv, args...)...)
	if tree := p.lab.options.Engine; tree != "" {
		cmd.Path = filepath.Join(tree, "usr/sbin", engineName)
		cmd.Env = append(os.Environ(), fmt.Sprintf("PATH=%[1]s/usr/sbin:%[1]s/usr/bin:%s", tree, os.Getenv("PATH")))
	}
	_, err := p.start(engineName, cmd)
	return err
}

// StopEngine stops dockerd as systemd does, and waits for its end. Docker 20.10 sometimes panics on its way out, when
// its networks get news from the swarm that it is just leaving: that is an end, too.
func (p *Pi) StopEngine() error {
	err := p.stop(engineName)
	if err != nil && strings.Contains(p.lastLines(engineName), "libnetwork.(*controller).clusterAgentInit") {
		return nil
	}
	return err
}

// KillEngine lets dockerd crash. Its containers run on, and the next engine finds them.
func (p *Pi) KillEngine() error { return p.kill(engineName) }

// WaitEngine returns when the engine answers, with an error when it has ended or ctx has.
func (p *Pi) WaitEngine(ctx context.Context) error {
	proc := p.Process(engineName)
	if proc == nil {
		return fmt.Errorf("%s: %s was not started", p.Name, engineName)
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.DockerSocket())
		},
	}}
	return Wait(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
		if err != nil {
			return final{err}
		}
		answer, err := client.Do(request)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(answer.Status)
		}
		if !proc.Running() {
			return final{fmt.Errorf("%s: engine ended: %w", p.Name,
				errors.Join(proc.Wait(), errors.New(p.lastLines(engineName))))}
		}
		return fmt.Errorf("%s: engine does not answer: %w", p.Name, err)
	})
}

// DockerSocket is the engine's socket as this process reaches it; empty while the Pi is off. It changes with every
// boot.
func (c *Computer) DockerSocket() string { return c.Path("/run/docker.sock") }

// DockerHost is DockerSocket in the form that DOCKER_HOST and client.WithHost take.
func (c *Computer) DockerHost() string { return "unix://" + c.DockerSocket() }

// API is a client of the computer's engine. It makes a connection for each call, as an engine that is being stopped
// wants it, so it need not be closed; it holds for one boot. A look through it costs a tenth of one with the docker
// command.
func (c *Computer) API() (*client.Client, error) {
	return client.NewClientWithOpts(
		client.WithHTTPClient(&http.Client{
			Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: client.CheckRedirect,
		}),
		client.WithHost(c.DockerHost()), client.WithAPIVersionNegotiation())
}

// Docker runs the docker command inside and returns its standard output.
func (c *Computer) Docker(ctx context.Context, args ...string) ([]byte, error) {
	return c.Exec(ctx, append([]string{"docker"}, args...)...)
}
