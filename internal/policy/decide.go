package policy

import (
	"github.com/pi-agent/pi-agent/internal/say"
	"strings"
)

// rule is one reason to do something. It reports whether it matches, and then what to do.
type rule struct {
	name   string // as docs/how-it-works.md has it
	decide func(View) (Action, bool)
}

// rules are tried in order, and the first that matches decides. Each may assume that none before it matched.
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

// settings holds a board back whose settings are wrong: it could be in the name of the cluster, and better no swarm
// than the wrong one.
func settings(v View) (Action, bool) {
	if v.Settings.Err == nil {
		return Action{}, false
	}
	return trouble(say.SettingsWrong.With(strings.ReplaceAll(v.Settings.Err.Error(), "\n", "; "))), true
}
