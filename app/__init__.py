"""The lab in the browser: `streamlit run app/main.py`. Widgets only; everything else is in bidora."""
