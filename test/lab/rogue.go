package lab

import "context"

// StartRogue starts the attacker on this Pi, with these arguments. Its log is "rogue".
func (p *Pi) StartRogue(args ...string) error {
	path, err := p.lab.install("test/lab/rogue")
	if err != nil {
		return err
	}
	_, err = p.start("rogue", p.Command(context.Background(), append([]string{path}, args...)...))
	return err
}
