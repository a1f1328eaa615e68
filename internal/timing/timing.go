// Package timing has every patience of the agent: how long it waits before it decides, asks again, tells somebody or
// gives up. They are values, so that a test need not wait for as long as a class would.
//
// What is not here: times that a protocol sets (RFC 3927, RFC 5227, RFC 6762), the limit of one call or request and the
// pause before it is made again, how old a cached answer may be, and differences of clocks. Those stay beside what they
// are about.
package timing

import (
	"fmt"
	"math"
	"reflect"
	"time"
)

// Timing is the patience of one agent. Product is what boards have.
type Timing struct {
	// Turns of the loop, which whatever is heard, asked or changed wakes earlier.

	// Turn is the time between turns outside a swarm.
	Turn time.Duration
	// TurnIn is the same in a swarm; also how old the list of nodes gets.
	TurnIn time.Duration
	// RetryFirst is the pause after an action that was refused. It doubles.
	RetryFirst time.Duration
	// RetryMax is the longest pause after an action that was refused.
	RetryMax time.Duration
	// EngineStart is how long an engine may take to start, as it does after the agent, before that is told.
	EngineStart time.Duration

	// Asking other boards.

	// Ask is the time between hellos to one board while outside a swarm.
	Ask time.Duration
	// AskIn is the same in a swarm, to managers only.
	AskIn time.Duration
	// AskAgain is the soonest repetition, whatever is heard.
	AskAgain time.Duration
	// AskAgainMax is the longest pause after failures, which double it.
	AskAgainMax time.Duration
	// AskFirst is how long after it began to elect a board asks those that become known first.
	AskFirst time.Duration
	// Hello is how long a board that announces itself may take to say hello, before a manager asks it.
	Hello time.Duration
	// Fresh is how long the answer of a board counts: three times the pace at which boards outside a swarm ask.
	Fresh time.Duration
	// Rival is the same for a manager of another swarm, whom a manager asks at the pace of a swarm.
	Rival time.Duration
	// AskUnreached is the longest pause while a board is heard that holds up the first swarm.
	AskUnreached time.Duration
	// Overtaken is the longest that anything said may be under way.
	Overtaken time.Duration
	// ForgetBlank is how long after its last answer a board outside any swarm is forgotten.
	ForgetBlank time.Duration
	// SilentAgain is the time after which the silence of one more board is told, where many that are silent may be
	// invented.
	SilentAgain time.Duration
	// RecallCalm is how long boards may be met before where they are is written down: those of a first formation come
	// together.
	RecallCalm time.Duration
	// Recall is the least time between two such writes: cards wear out, and a board with many addresses can be met anew
	// again and again.
	Recall time.Duration

	// Hearing other boards.

	// Hear is how long it may take until the board hears its own announcement, before that is a matter to tell.
	Hear time.Duration
	// Unheard is how long a board that was met may take to be heard: a hello overtakes the first announcement.
	Unheard time.Duration
	// UnheardMax is how long the announcements of a board that answers may be missing: they come every 30 to 60 s, and
	// a few may be lost.
	UnheardMax time.Duration
	// Reach is how long a board that is heard may take to answer, before that is a matter to tell.
	Reach time.Duration
	// Heard is how long an announcement holds a board back that founds a swarm: that is how long our boards announce that
	// theirs hold, and what says longer is none of ours.
	Heard time.Duration
	// ReachCalm is how long it must stay the same how boards are reached, before it is told.
	ReachCalm time.Duration
	// NeighboursCalm is how long the number of other clusters must stay the same before it is told: their boards are
	// heard one after the other, and whoever wants to fill the journal can invent clusters.
	NeighboursCalm time.Duration

	// Founding a swarm, and joining one.

	// Remembered is how long a blank board holds back from founding a swarm after it last spoke to a board that is in
	// one: a manager that restarts is back within that time.
	Remembered time.Duration
	// Founding is how long the lowest board may take to found the swarm before the next one has its turn.
	Founding time.Duration
	// Named is how long a board that the settings name may take to start, before it is left out of an election.
	Named time.Duration
	// Pending is how long a first join may stay pending in the engine before it is abandoned.
	Pending time.Duration
	// Leaving is how long an engine that has left a swarm is left alone: it gives its ports and networks back only
	// after it has said that it is done, and one that joins meanwhile is without overlay networks.
	Leaving time.Duration
	// ClockWait is how long boards whose clocks differ wait for a time server before one of them founds a swarm. On a LAN
	// without one they do without.
	ClockWait time.Duration
	// ClockSetting is how long it may take until a clock that is to be put forward has been.
	ClockSetting time.Duration
	// ClockAgain is how long after that it may be asked for once more.
	ClockAgain time.Duration
	// Pair is how long a manager without a cluster key lets new boards in after its power-on, or the first start of its
	// agent, and after a person said so: the time in which a class plugs everything in.
	Pair time.Duration

	// Being in a swarm.

	// Lost is how long the address by which the swarm knows a board may be missing before that is told: a lease that is
	// renewed may take it away for a moment.
	Lost time.Duration
	// ManagerSilent is how long a worker's manager may be silent before the worker says so.
	ManagerSilent time.Duration
	// Out is how long a board outside the swarm may be silent: one that is joining says nothing meanwhile.
	Out time.Duration
	// Disowned is how long all managers that a worker's engine knows must say that they are not its managers any more.
	Disowned time.Duration
	// Orphaned is how long they may all be silent before a worker takes them for gone. A person who exchanges a card or
	// waits for a disk check takes less.
	Orphaned time.Duration
	// LossTold is how long a board says that the swarm that it was in before was lost: a lesson.
	LossTold time.Duration
	// Count is how often a manager looks what is in its swarm while it knows of no other.
	Count time.Duration
	// Copy is how long after its start a board takes its membership for that of a copy when another board has the same
	// one. Later each of the two may hold something that the other does not.
	Copy time.Duration
	// DuplicateTold is how long two boards may be one node before that is told: a copy that meets its original needs less
	// to leave, and to be forgotten as that node.
	DuplicateTold time.Duration
	// Forget is how long root and a restart of the engine may take, on a slow board, until an engine has forgotten its
	// swarm.
	Forget time.Duration

	// Managers among themselves.

	// ManagerGone is how long a manager may be unreachable before it is replaced: a reboot is nothing, and no more is a
	// board that is carried to another table.
	ManagerGone time.Duration
	// RolesCalm is how long the boards that could become managers must have been the same: a swarm that forms gets new
	// ones every second, and the lowest serial may come last.
	RolesCalm time.Duration
	// Phantom is how long a node may be on the list of nodes without a name before it is taken off: it gets one in the
	// second in which its engine enters the swarm, and a join is given up long before.
	Phantom time.Duration
	// Stumble is how long an engine that is made a manager may stumble before it is helped: it tries again by itself.
	Stumble time.Duration
	// Resign is how often a manager that is being made a worker looks whether it is one.
	Resign time.Duration

	// Compose files on the card.

	// Stack is the time between two looks; a file counts that stayed as it was from one to the next.
	Stack time.Duration
	// StackCalm is how long no node may have come or gone before a stack is first deployed, so that tasks are spread
	// over all.
	StackCalm time.Duration
	// StackRetry is the pause after a file that was refused and has not changed. It doubles.
	StackRetry time.Duration
	// StackRetryMax is the longest such pause.
	StackRetryMax time.Duration

	// This board's own card and address.

	// StateRetry is the time between two attempts to write a state that could not be written. A person frees space in
	// minutes.
	StateRetry time.Duration
	// AddressRetry is the time between two attempts to have an address where the first was refused, if nothing changes.
	AddressRetry time.Duration
}

// Product is the patience that boards have.
func Product() Timing {
	return Timing{
		Turn:        2 * time.Second,
		TurnIn:      5 * time.Second,
		RetryFirst:  time.Second,
		RetryMax:    30 * time.Second,
		EngineStart: 10 * time.Second,

		Ask:          5 * time.Second,
		AskIn:        30 * time.Second,
		AskAgain:     time.Second,
		AskAgainMax:  30 * time.Second,
		AskFirst:     5 * time.Second,
		Hello:        30 * time.Second,
		Fresh:        15 * time.Second,
		Rival:        90 * time.Second,
		ForgetBlank:  time.Minute,
		AskUnreached: 2 * time.Second,
		Overtaken:    40 * time.Second,
		SilentAgain:  10 * time.Minute,
		RecallCalm:   15 * time.Second,
		Recall:       5 * time.Minute,

		Hear:           5 * time.Second,
		Unheard:        3 * time.Second,
		UnheardMax:     3 * time.Minute,
		Reach:          10 * time.Second,
		Heard:          2 * time.Minute,
		ReachCalm:      10 * time.Second,
		NeighboursCalm: 10 * time.Second,

		Remembered:   5 * time.Minute,
		Founding:     time.Minute,
		Named:        90 * time.Second,
		Pending:      45 * time.Second,
		Leaving:      5 * time.Second,
		ClockWait:    2 * time.Minute,
		ClockSetting: 15 * time.Second,
		ClockAgain:   10 * time.Minute,
		Pair:         15 * time.Minute,

		Lost:          20 * time.Second,
		ManagerSilent: time.Minute,
		Out:           45 * time.Second,
		Disowned:      30 * time.Second,
		Orphaned:      15 * time.Minute,
		LossTold:      time.Hour,
		Count:         time.Minute,
		Copy:          15 * time.Minute,
		DuplicateTold: 3 * time.Minute,
		Forget:        2 * time.Minute,

		ManagerGone: 5 * time.Minute,
		RolesCalm:   10 * time.Second,
		Phantom:     time.Minute,
		Stumble:     10 * time.Second,
		Resign:      500 * time.Millisecond,

		Stack:         5 * time.Second,
		StackCalm:     20 * time.Second,
		StackRetry:    30 * time.Second,
		StackRetryMax: 10 * time.Minute,

		StateRetry:   time.Minute,
		AddressRetry: 10 * time.Second,
	}
}

// Or is t, or other where t is the zero value.
func (t Timing) Or(other Timing) Timing {
	if t == (Timing{}) {
		return other
	}
	return t
}

// Faster divides every patience by n, which is 1 or more, for tests. All of them, so that what waits for something else
// still waits longer than that takes.
func (t Timing) Faster(n float64) (Timing, error) {
	if !(n >= 1) || math.IsInf(n, 0) {
		return t, fmt.Errorf("pace %v: give a number from 1 on", n)
	}
	v := reflect.ValueOf(&t).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt(int64(float64(v.Field(i).Int()) / n))
	}
	return t, nil
}

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
