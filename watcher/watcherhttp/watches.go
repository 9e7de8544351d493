package watcherhttp

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
)

// put stores a watch. Its status begins anew, unless the call names what it
// replaces (version or if_seq_no): then it is an update, which keeps the status
// and the secrets that it sends back redacted.
func (a *api) put(c *gin.Context, _ string) (reply, error) {
	id := c.Param("id")
	ctx := c.Request.Context()
	if err := watcher.ValidID(id); err != nil {
		return reply{}, invalid(err.Error())
	}
	active, err := flag(c, "active", true)
	if err != nil {
		return reply{}, err
	}
	cond, err := precondition(c)
	if err != nil {
		return reply{}, err
	}
	body, err := readBody(c)
	if err != nil {
		return reply{}, err
	}
	update := cond.SeqNo != nil || cond.Version != nil
	status, body, err := a.updated(c, id, body, update)
	if err != nil {
		return reply{}, err
	}
	w, err := a.Engine.Parse(ctx, id, body)
	if err != nil {
		return reply{}, err
	}
	now := a.Now()
	if status == nil {
		s := watcher.NewStatus(active, now, w.ActionIDs())
		status = &s
	} else {
		*status = status.Keep(now, w.ActionIDs())
		status.SetActive(active, now)
	}
	stored, created, err := a.Store.Put(ctx, id, w.Source(), *status, cond)
	if fault.Is(err, fault.Conflict) {
		return reply{}, a.conflict(c, id, cond)
	}
	if err != nil {
		return reply{}, fmt.Errorf("put watch [%s]: %w", id, err)
	}
	answer, _ := ok(pair("_id", id), pair("_version", stored.Version), pair("_seq_no", stored.SeqNo),
		pair("_primary_term", stored.PrimaryTerm), pair("created", created))
	if created {
		answer.status = http.StatusCreated
	}
	return answer, nil
}

// updated is the status that an update keeps, and the body with its secrets put
// back; both as they are for what is no update.
func (a *api) updated(c *gin.Context, id string, body []byte, update bool) (*watcher.Status, []byte, error) {
	raw, err := document.Parse(body)
	if err != nil {
		return nil, body, nil // Parse says what is wrong, with the watch's name
	}
	var status *watcher.Status
	if update {
		stored, err := a.Store.Get(c.Request.Context(), id)
		switch {
		case fault.Is(err, fault.NotFound):
			return nil, nil, missing(id)
		case err != nil:
			return nil, nil, fmt.Errorf("get watch [%s]: %w", id, err)
		}
		status = &stored.Status
		if old, err := a.load(stored); err == nil {
			if raw, ok := raw.(*document.Object); ok {
				watcher.Restore(raw, old)
			}
		}
	}
	if place, ok := watcher.RedactedPlace(raw, ""); ok {
		field := place[strings.LastIndexByte(place, '.')+1:]
		return nil, nil, &document.PathError{Path: place, Reason: "could not parse watch [" + id + "]",
			Err: document.NewError(http.StatusBadRequest, "parse_exception", "found redacted password in field ["+field+"]")}
	}
	if !update {
		return nil, body, nil
	}
	body, err = document.Marshal(raw)
	return status, body, err
}

func (a *api) load(stored watcher.Stored) (*watcher.Watch, error) {
	source, err := document.Marshal(stored.Source)
	if err != nil {
		return nil, fmt.Errorf("load watch [%s]: %w", stored.ID, err)
	}
	w, err := a.Engine.Load(stored.ID, source)
	if err != nil {
		return nil, fmt.Errorf("load watch [%s]: %w", stored.ID, err)
	}
	return w, nil
}

// shown is a stored watch's source without its secrets.
func (a *api) shown(stored watcher.Stored) (*document.Object, error) {
	w, err := a.load(stored)
	if err != nil {
		return nil, err
	}
	return watcher.Redact(w.Source(), w.SecretPaths()), nil
}

func precondition(c *gin.Context) (watcher.Precondition, error) {
	var cond watcher.Precondition
	for name, to := range map[string]**int64{"version": &cond.Version, "if_seq_no": &cond.SeqNo, "if_primary_term": &cond.PrimaryTerm} {
		text, there := c.GetQuery(name)
		if !there {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return cond, illegal("Failed to parse long parameter [%s] with value [%s]", name, text)
		}
		*to = &n
	}
	switch {
	case cond.SeqNo != nil && *cond.SeqNo < 0:
		return cond, illegal("sequence numbers must be non negative. got [%d].", *cond.SeqNo)
	case cond.SeqNo != nil && cond.PrimaryTerm == nil:
		return cond, invalid("ifSeqNo is set, but primary term is [0]")
	case cond.SeqNo == nil && cond.PrimaryTerm != nil:
		return cond, invalid(fmt.Sprintf("ifSeqNo is unassigned, but primary term is [%d]", *cond.PrimaryTerm))
	case cond.SeqNo != nil && cond.Version != nil:
		return cond, invalid("compare and write operations can not use versioning")
	}
	return cond, nil
}

// conflict says what a write found instead of what it was to replace.
func (a *api) conflict(c *gin.Context, id string, cond watcher.Precondition) error {
	reason := "[" + id + "]: version conflict"
	stored, err := a.Store.Get(c.Request.Context(), id)
	switch {
	case err != nil: // gone meanwhile
	case cond.SeqNo != nil:
		reason += fmt.Sprintf(", required seqNo [%d], primary term [%d]. current document has seqNo [%d] and primary term [%d]",
			*cond.SeqNo, *cond.PrimaryTerm, stored.SeqNo, stored.PrimaryTerm)
	case cond.Version != nil:
		reason += fmt.Sprintf(", current version [%d] is different than the one provided [%d]", stored.Version, *cond.Version)
	}
	return document.NewError(http.StatusConflict, "version_conflict_engine_exception", reason)
}

func (a *api) get(c *gin.Context, _ string) (reply, error) {
	id := c.Param("id")
	stored, err := a.Store.Get(c.Request.Context(), id)
	switch {
	case fault.Is(err, fault.NotFound):
		return reply{http.StatusNotFound, document.NewObject(pair("found", false), pair("_id", id))}, nil
	case err != nil:
		return reply{}, fmt.Errorf("get watch [%s]: %w", id, err)
	}
	source, err := a.shown(stored)
	if err != nil {
		return reply{}, err
	}
	stored.Status.Version = stored.Version
	return ok(pair("found", true), pair("_id", id), pair("_version", stored.Version), pair("_seq_no", stored.SeqNo),
		pair("_primary_term", stored.PrimaryTerm), pair("status", stored.Status.Document()), pair("watch", source))
}

func (a *api) delete(c *gin.Context, _ string) (reply, error) {
	id := c.Param("id")
	stored, err := a.Store.Delete(c.Request.Context(), id)
	switch {
	case fault.Is(err, fault.NotFound):
		return reply{http.StatusNotFound, document.NewObject(pair("_id", id), pair("_version", int64(1)), pair("found", false))}, nil
	case err != nil:
		return reply{}, fmt.Errorf("delete watch [%s]: %w", id, err)
	}
	return ok(pair("_id", id), pair("_version", stored.Version), pair("found", true))
}

// missing is the error about a watch that is not there.
func missing(id string) error {
	return document.NewError(http.StatusNotFound, "resource_not_found_exception", "Watch with id ["+id+"] does not exist")
}

// query finds watches as Elasticsearch's search finds documents.
func (a *api) query(c *gin.Context, _ string) (reply, error) {
	data, err := readBody(c)
	if err != nil {
		return reply{}, err
	}
	body := document.NewObject()
	if len(strings.TrimSpace(string(data))) > 0 {
		if body, err = document.ParseObject(data); err != nil {
			return reply{}, document.NewError(http.StatusBadRequest, "x_content_parse_exception", "[query_watches_request] "+err.Error())
		}
	}
	for key, v := range body.All() {
		switch key {
		case "query", "sort", "search_after":
		case "from", "size":
			n, isNumber := v.(int64)
			if !isNumber {
				return reply{}, document.NewError(http.StatusBadRequest, "x_content_parse_exception", "[query_watches_request] failed to parse field ["+key+"]")
			}
			if n < 0 {
				return reply{}, illegal("[%s] parameter cannot be negative but was [%d]", key, n)
			}
		default:
			return reply{}, document.NewError(http.StatusBadRequest, "x_content_parse_exception", "[query_watches_request] unknown field ["+key+"]")
		}
	}
	total, found, err := a.Store.Query(c.Request.Context(), body)
	if err != nil {
		return reply{}, fmt.Errorf("query watches: %w", err)
	}
	watches := []any{}
	for _, stored := range found {
		source, err := a.shown(stored)
		if err != nil {
			return reply{}, err
		}
		stored.Status.Version = stored.Version
		watches = append(watches, document.NewObject(pair("_id", stored.ID), pair("watch", source), pair("status", stored.Status.Document()),
			pair("_seq_no", stored.SeqNo), pair("_primary_term", stored.PrimaryTerm)))
	}
	return ok(pair("count", total), pair("watches", watches))
}
