"""What a run showed: report and gates, comparison of two runs, proposals for limits."""
