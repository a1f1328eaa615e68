package policy

// Outside: what keeps a board that is in no swarm from founding or joining one.

import (
	"errors"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/say"
)

// takenPort holds a board back that could not be a node among others.
func takenPort(v View) (Action, bool) {
	if v.Engine.Taken == nil {
		return Action{}, false
	}
	return trouble(say.Of(v.Engine.Taken)), true
}

// network waits for a link, and says when there will be no address to rely on before a person helps.
func network(v View) (Action, bool) {
	switch {
	case v.Network.Link != nil:
		return wait(say.NoNetwork.With(v.Network.Link)), true
	case AddressRefused(v.Network.Address):
		return trouble(say.NoStableAddress.With(v.Network.Address)), true
	}
	return Action{}, false
}

// AddressRefused reports whether there will be no address to rely on before a person helps.
func AddressRefused(err error) bool {
	var refusal address.Refusal
	return errors.As(err, &refusal)
}

// duplicateSerial names two boards of which none could be told from the other.
func duplicateSerial(v View) (Action, bool) {
	if len(v.Boards.SameSerial) == 0 {
		return Action{}, false
	}
	return trouble(say.DuplicateSerial.With(v.Serial, v.Boards.SameSerial[0].Addr.Addr())), true
}

// reset keeps a board out that a person has taken out.
func reset(v View) (Action, bool) {
	if !v.Reset {
		return Action{}, false
	}
	return wait(say.WasReset.With()), true
}

// justLeft gives the engine a moment.
func justLeft(v View) (Action, bool) {
	end := v.Swarm.Left.Add(v.Timing.Leaving)
	if !v.Now.Before(end) {
		return Action{}, false
	}
	return waitUntil(end, say.JustLeft.With()), true
}
