# Completion of pi-agent for bash. Written by go test ./cmd/pi-agent -update.

_pi_agent() {
	local words=
	case "$COMP_CWORD ${COMP_WORDS[1]}" in
	"1 "*) words="run status doctor key pair reset yield prepare version" ;;
	*" run") words="-config -key -socket -stacks -state" ;;
	*" status") words="-config -json -socket -watch" ;;
	*" doctor") words="-config -fix -json -socket" ;;
	"2 key") words="new set" ;;
	*" pair") words="-socket" ;;
	*" reset") words="-socket -swarm -yes" ;;
	*" yield") words="-socket" ;;
	*" prepare") words="-config" ;;
	esac
	local typed="${COMP_WORDS[COMP_CWORD]}"
	case "$typed" in
	--*) words="${words//-/--}" ;; # two dashes do as well
	esac
	COMPREPLY=($(compgen -W "$words" -- "$typed"))
}
# After an option, and where there is nothing to propose, a file or a directory.
complete -o bashdefault -o default -F _pi_agent pi-agent
