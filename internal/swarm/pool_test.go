package swarm

import (
	"net/netip"
	"strings"
	"testing"
)

func TestChoosePool(t *testing.T) {
	tests := []struct {
		name   string
		routes []string
		want   string // empty: an error
	}{
		{"nothing", nil, "10.201.0.0/16"},
		{"home router", []string{"0.0.0.0/0", "192.168.1.0/24", "172.17.0.0/16"}, "10.201.0.0/16"},
		{"VPN that takes everything", []string{"0.0.0.0/1", "128.0.0.0/1", "10.8.0.0/24"}, "10.201.0.0/16"},
		{"IPv6 beside", []string{"fe80::/64", "::/0", "10.201.0.0/16"}, "10.202.0.0/16"},
		{"LAN where Docker's own choice breaks", []string{"10.0.0.0/24"}, "10.201.0.0/16"},
		{"LAN in the first candidate", []string{"10.201.7.0/24"}, "10.202.0.0/16"},
		{"company with all of 10", []string{"10.0.0.0/8"}, "172.31.0.0/16"},
		{"and all of 172.16", []string{"10.0.0.0/8", "172.16.0.0/12"}, "192.168.0.0/16"},
		{"everything", []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.4.0/24"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var routes []netip.Prefix
			for _, r := range tt.routes {
				routes = append(routes, netip.MustParsePrefix(r))
			}
			got, err := ChoosePool(routes)
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), tt.routes[0]) {
					t.Errorf("%v, %v; want an error that names the routes", got, err)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("%v, %v; want %s", got, err, tt.want)
			}
		})
	}
}
