package lab

import "context"

const rogueName = "rogue"

// StartRogue starts the attacker of test/lab/rogue on this Pi, which needs no engine: its flags, then the attack. Its
// log is "rogue".
func (p *Pi) StartRogue(args ...string) error {
	path, err := p.lab.install("test/lab/rogue")
	if err != nil {
		return err
	}
	_, err = p.start(rogueName, p.Command(context.Background(), append([]string{path}, args...)...))
	return err
}
