package swarm

import (
	"github.com/docker/docker/client"
)

// What the tests on real engines, which stand in package swarm_test, need of the inside.
var (
	APIInit = apiInit
	Rotate  = rotate
)

// SubnetBits is the size of an overlay network.
const SubnetBits = subnetBits

// Client returns the client of the engine.
func (d *Docker) Client() (*client.Client, error) { return d.client() }
