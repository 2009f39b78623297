package reportstore_test

import (
	"testing"
	"time"

	"uniqverse/internal/web"
	"uniqverse/services/email/dmarcreport"
	"uniqverse/store/reportstore"
	"uniqverse/store/storetest"
)

// A report is kept once, counts add up by what was seen, and what was reported is forgotten.
func TestEmailDMARC(t *testing.T) {
	st := reportstore.New(storetest.Open(t))
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	r := dmarcreport.Report{Org: "yards.example", ReportID: "1", Domain: "us.example", Begin: day, End: day.Add(24 * time.Hour), Received: day.Add(30 * time.Hour), Messages: 3, Passed: 2, Rows: []dmarcreport.Row{{IP: "192.0.2.7", Count: 3}}}
	for _, want := range []bool{true, false} {
		if added, err := st.AddReport(t.Context(), r); added != want || err != nil {
			t.Errorf("%v, %v", added, err)
		}
	}
	r.ReportID, r.Begin = "2", day.Add(5*time.Hour)
	if _, err := st.AddReport(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	list, err := st.DMARCReports(t.Context(), web.Paging{Limit: 1})
	if err != nil || len(list) != 1 || list[0].ReportID != "2" || len(list[0].Rows) != 1 || !list[0].Begin.Equal(r.Begin) {
		t.Errorf("%+v, %v", list, err)
	}
	days, err := st.DMARCDays(t.Context(), day)
	if err != nil || len(days) != 1 || !days[0].Day.Equal(day) || days[0].Messages != 6 || days[0].Passed != 4 {
		t.Errorf("%+v, %v", days, err)
	}

	a := dmarcreport.Key{Day: day.Unix(), Domain: "theirs.example", Record: "v=DMARC1; p=none", IP: "192.0.2.7", SPFAligned: true}
	b := a
	b.IP = "192.0.2.8"
	for range 2 {
		if err := st.CountDMARC(t.Context(), map[dmarcreport.Key]int64{a: 2, b: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if domain, _, err := st.DMARCDue(t.Context(), day.Unix()); domain != "" || err != nil {
		t.Errorf("on the day itself: %q, %v", domain, err)
	}
	domain, due, err := st.DMARCDue(t.Context(), day.Add(24*time.Hour).Unix())
	if domain != "theirs.example" || due != day.Unix() || err != nil {
		t.Errorf("%q, %d, %v", domain, due, err)
	}
	counts, err := st.DMARCCounts(t.Context(), domain, due, 10)
	if err != nil || len(counts) != 2 || counts[a] != 4 || counts[b] != 2 {
		t.Errorf("%v, %v", counts, err)
	}
	if err := st.DropDMARC(t.Context(), domain, due); err != nil {
		t.Fatal(err)
	}
	if domain, _, err := st.DMARCDue(t.Context(), day.Add(24*time.Hour).Unix()); domain != "" || err != nil {
		t.Errorf("after it was reported: %q, %v", domain, err)
	}
}
