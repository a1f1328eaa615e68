package policy

import (
	"errors"
	"strings"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// rule is one reason to do something. It reports whether it matches, and then what to do.
type rule struct {
	name   string // as docs/how-it-works.md has it
	decide func(View) (Action, bool)
}

// rules are tried in order, and the first that matches decides. Each may rely on none before it having matched.
var rules = []rule{
	// A board that knows too little to do anything.
	{"settings", settings},
	{"engine", engine},

	// A member of a swarm.
	{"copied card", copiedCard},
	{"forgotten swarm", forgottenSwarm},
	{"lost swarm", lostSwarm},
	{"lost address", lostAddress},
	{"no majority", noMajority},
	{"two swarms", twoSwarms},
	{"duplicate node", duplicateNode},
	{"no manager left", noManagerLeft},
	{"manager", manager},
	{"divided cluster", dividedCluster},

	// An engine that should be in a swarm, and is not.
	{"excluded engine", excludedEngine},
	{"locked swarm", lockedSwarm},
	{"expired certificate", expiredCertificate},
	{"stumbling engine", stumblingEngine},
	{"failed join", failedJoin},
	{"clock of a member", memberClock},
	{"worker", worker},
	{"pending engine", pendingEngine},

	// A board in no swarm, and what keeps it from being in one.
	{"taken port", takenPort},
	{"network", network},
	{"duplicate serial", duplicateSerial},
	{"reset", reset},
	{"just left", justLeft},
	{"clock of the past", clockOfThePast},

	// A swarm is there.
	{"join", join},
	{"manager out of reach", managerOutOfReach},
	{"unfollowed manager", unfollowedManager},
	{"manager to come", managerToCome},

	// No swarm is there: one of the boards founds it.
	{"somebody founds", somebodyFounds},
	{"hearing", hearing},
	{"named boards", namedBoards},
	{"settling", settling},
	{"boards out of reach", boardsOutOfReach},
	{"clocks apart", clocksApart},
	{"boards not ready", boardsNotReady},
	{"turn", turn},
	{"stable address", stableAddress},
	{"question", question},
	{"proposal", proposal},
	{"founding", founding},
}

// Rules are the names of the rules, in the order in which they are tried.
func Rules() []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return names
}

// Decide says what the board should do now. Every wait says what it waits for.
func Decide(v View) Action {
	for _, r := range rules {
		if a, ok := r.decide(v); ok {
			a.Rule = r.name
			return a
		}
	}
	panic("no rule matches") // the last one always does
}

// settings holds a board back whose settings are wrong: it could be in the name of the cluster, and better no swarm than the
// wrong one.
func settings(v View) (Action, bool) {
	if v.Settings.Err == nil {
		return Action{}, false
	}
	return trouble("This board does nothing until its settings are put right: %s", strings.ReplaceAll(v.Settings.Err.Error(), "\n", "; ")), true
}

// engine waits for one that cannot be asked.
func engine(v View) (Action, bool) {
	if v.Engine.Err == nil {
		return Action{}, false
	}
	return engineTrouble(v.Engine.Err), true
}

// excludedEngine names a setting with which the engine takes part in no swarm.
func excludedEngine(v View) (Action, bool) {
	if v.Engine.Excluded == nil {
		return Action{}, false
	}
	return engineTrouble(v.Engine.Excluded), true
}

func engineTrouble(err error) Action {
	if errors.Is(err, swarm.ErrUnreachable) {
		return wait("Waiting for the Docker Engine: %v", err)
	}
	return trouble("The Docker Engine cannot take part: %v", err)
}

// takenPort holds a board back that could not be a node among others.
func takenPort(v View) (Action, bool) {
	if v.Engine.Taken == nil {
		return Action{}, false
	}
	return trouble("%v", v.Engine.Taken), true
}

// network waits for a link, and says when there will be no address to rely on before a person helps.
func network(v View) (Action, bool) {
	switch {
	case v.Network.Link != nil:
		return wait("Waiting for the network: %v", v.Network.Link), true
	case AddressRefused(v.Network.Address):
		return trouble(`There is no address that a swarm can rely on: %v; address = "interface" on every board does without`, v.Network.Address), true
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
	return trouble("Two boards have the serial %s: this one and %s; give one of them another with serial in pi-agent.toml",
		v.Serial, v.Boards.SameSerial[0].Addr.Addr()), true
}

// reset keeps a board out that a person has taken out.
func reset(v View) (Action, bool) {
	if !v.Reset {
		return Action{}, false
	}
	return wait("This board was reset and stays out of any swarm until it is switched off and on, or its agent is restarted"), true
}

// justLeft gives the engine a moment.
func justLeft(v View) (Action, bool) {
	end := v.Swarm.Left.Add(v.Timing.Leaving)
	if !v.Now.Before(end) {
		return Action{}, false
	}
	return waitUntil(end, "The Docker Engine has left its swarm: giving it a moment"), true
}
