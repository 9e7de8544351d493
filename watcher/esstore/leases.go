package esstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"pharos/internal/fault"
	"pharos/watcher/lease"
)

// A lease and the cluster's switch are documents of one index; kind tells them
// apart.
const (
	leaseKind = "lease"
	switchID  = "switch"
)

type leaseDoc struct {
	Kind string `json:"kind"`
	lease.Lease
}

// Leases returns all leases. They are written with a refresh, so that a search
// finds all of them.
func (s *Store) Leases(ctx context.Context) ([]lease.Lease, error) {
	var answer struct {
		Hits struct {
			Hits []hit `json:"hits"`
		} `json:"hits"`
	}
	body := map[string]any{"size": listed, "seq_no_primary_term": true, "query": map[string]any{"term": map[string]any{"kind": leaseKind}}}
	err := s.call(ctx, http.MethodPost, "/"+leasesIndex+"/_search?ignore_unavailable=true&allow_partial_search_results=false", body, &answer)
	if err != nil {
		return nil, err
	}
	leases := make([]lease.Lease, 0, len(answer.Hits.Hits))
	for _, h := range answer.Hits.Hits {
		var d leaseDoc
		if err := json.Unmarshal(h.Source, &d); err != nil {
			return nil, fmt.Errorf("read lease [%s]: %w", h.ID, err)
		}
		d.ID, d.Revision = h.ID, lease.Revision{SeqNo: h.SeqNo, PrimaryTerm: h.PrimaryTerm}
		leases = append(leases, d.Lease)
	}
	return leases, nil
}

// WriteLeases writes leases by one call, each as a compare-and-set.
func (s *Store) WriteLeases(ctx context.Context, leases []lease.Lease) ([]lease.Written, error) {
	operations := make([]operation, len(leases))
	for i, l := range leases {
		body, err := json.Marshal(leaseDoc{leaseKind, l})
		if err != nil {
			return nil, fmt.Errorf("write lease [%s]: %w", l.ID, err)
		}
		operations[i] = operation{action: "create", index: leasesIndex, id: l.ID, body: body}
		if l.Revision != (lease.Revision{}) {
			operations[i].action, operations[i].seqNo, operations[i].primaryTerm = "index", &leases[i].Revision.SeqNo, l.Revision.PrimaryTerm
		}
	}
	outcomes, err := bulk(ctx, s.es, true, operations)
	if err != nil {
		return nil, err
	}
	results := make([]lease.Written, len(outcomes))
	for i, o := range outcomes {
		results[i] = lease.Written{Revision: lease.Revision{SeqNo: o.SeqNo, PrimaryTerm: o.PrimaryTerm}, Err: o.err}
	}
	return results, nil
}

type switchDoc struct {
	Kind    string `json:"kind"`
	Stopped bool   `json:"stopped"`
}

// Stopped reports whether somebody has stopped the watches of all processes.
func (s *Store) Stopped(ctx context.Context) (bool, error) {
	var h hit
	err := s.call(ctx, http.MethodGet, "/"+leasesIndex+"/_doc/"+switchID, nil, &h)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var d switchDoc
	if err := json.Unmarshal(h.Source, &d); err != nil {
		return false, fmt.Errorf("read the switch: %w", err)
	}
	return d.Stopped, nil
}

// SetStopped stops or starts the watches of all processes.
func (s *Store) SetStopped(ctx context.Context, stopped bool) error {
	var w written
	return s.call(ctx, http.MethodPut, "/"+leasesIndex+"/_doc/"+switchID, switchDoc{"switch", stopped}, &w)
}

// ClusterName is the name of the Elasticsearch cluster.
func (s *Store) ClusterName(ctx context.Context) (string, error) {
	var root struct {
		ClusterName string `json:"cluster_name"`
	}
	err := s.call(ctx, http.MethodGet, "/", nil, &root)
	return root.ClusterName, err
}
