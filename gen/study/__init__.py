"""The paper's figures and tables, measured again: points, their comparison, plots and reports."""
