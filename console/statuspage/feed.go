package statuspage

import (
	"fmt"
	"html"
	"time"

	"github.com/gorilla/feeds"
)

// feedsOf are the incidents' updates and the maintenance windows as RSS 2.0 and
// Atom (RFC 4287): one item each time that the public was told something.
func feedsOf(d Document) (rss, atom string, err error) {
	f := &feeds.Feed{
		Title: d.Name + " status", Description: "Incidents and maintenance of " + d.Name,
		Link: &feeds.Link{Href: d.URL}, Author: &feeds.Author{Name: d.Name}, Updated: d.At.Truncate(24 * time.Hour),
	}
	for _, i := range d.Incidents {
		for _, u := range i.Updates {
			status := ""
			if u.Status != "" {
				status = ": " + u.Status
			}
			f.Add(&feeds.Item{
				Title: i.Title + status, Link: &feeds.Link{Href: d.URL + "#incident-" + i.ID},
				Id: fmt.Sprintf("%s#incident-%s-%d", d.URL, i.ID, u.At.UnixMilli()), IsPermaLink: "false",
				Description: html.EscapeString(u.Text), Created: u.At, Updated: u.At,
			})
		}
	}
	for _, w := range d.Windows {
		text := fmt.Sprintf("Planned maintenance from %s to %s UTC.", w.From.Format("2 Jan 2006 15:04"), w.To.Format("2 Jan 2006 15:04"))
		if len(w.Components) > 0 {
			text += " It touches " + list(w.Components) + "."
		}
		f.Add(&feeds.Item{
			Title: "Maintenance: " + w.Title, Link: &feeds.Link{Href: d.URL + "#maintenance"},
			Id: fmt.Sprintf("%s#maintenance-%d-%d", d.URL, w.From.Unix(), w.To.Unix()), IsPermaLink: "false",
			Description: html.EscapeString(text), Created: w.From, Updated: w.From,
		})
	}
	f.Sort(func(a, b *feeds.Item) bool { return a.Updated.After(b.Updated) })
	for _, i := range f.Items {
		if i.Updated.After(f.Updated) {
			f.Updated = i.Updated
		}
	}
	f.Created = f.Updated
	if rss, err = f.ToRss(); err != nil {
		return "", "", fmt.Errorf("write RSS: %w", err)
	}
	if atom, err = f.ToAtom(); err != nil {
		return "", "", fmt.Errorf("write Atom: %w", err)
	}
	return rss, atom, nil
}
