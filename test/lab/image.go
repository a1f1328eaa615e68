package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// WebImage is the image of the demo service that LoadWeb makes. It listens on port 80 and wants the Pi's /etc/hostname
// mounted read-only at the same path, to say which Pi it runs on.
const WebImage = "pi-agent/web:demo"

// webTar is the content of WebImage for a CPU, as Go calls it.
func webTar(arch string) ([]byte, error) {
	program, err := build("test/lab/web", "GOARCH="+arch)
	if err != nil {
		return nil, err
	}
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	if err := w.WriteHeader(&tar.Header{Name: "web", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	err = w.Close()
	return image.Bytes(), err
}

// LoadWeb makes WebImage on every Pi and every machine that is on, without a registry. The engines must be up.
//
//	docker service create --name web --mode global --publish mode=host,target=80,published=80 --no-resolve-image \
//		--mount type=bind,src=/etc/hostname,dst=/etc/hostname,readonly pi-agent/web:demo
//
// Publishing without mode=host needs IPVS in the machine's kernel.
func (l *Lab) LoadWeb(ctx context.Context) error {
	image, err := webTar(runtime.GOARCH)
	if err != nil {
		return err
	}
	var computers []*Computer
	for _, p := range l.Pis {
		computers = append(computers, &p.Computer)
	}
	for _, m := range l.Machines {
		computers = append(computers, &m.Computer)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range computers {
		if !p.On() {
			continue
		}
		g.Go(func() error {
			c := p.Command(ctx, "docker", "import", "--change", `ENTRYPOINT ["/web"]`, "--change", "EXPOSE 80", "-", WebImage)
			c.Stdin = bytes.NewReader(image)
			if _, err := c.Output(); err != nil {
				return fmt.Errorf("%s: import %s: %w", p.Name, WebImage, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// PutWebOnCard puts the content of WebImage on the boot partition, for LoadWeb. The power must be off.
func (b *Board) PutWebOnCard() error {
	image, err := webTar("arm64")
	if err != nil {
		return err
	}
	return b.PutOnCard("web.tar", string(image))
}

// LoadWeb makes WebImage of what PutWebOnCard has put there.
func (b *Board) LoadWeb(ctx context.Context) error {
	_, err := b.Exec(ctx,
		`docker import --change "ENTRYPOINT [\"/web\"]" --change "EXPOSE 80" /boot/firmware/web.tar `+WebImage)
	return err
}
